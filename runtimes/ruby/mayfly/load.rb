# frozen_string_literal: true

module Mayfly
  # What the environment of the instance says.
  Settings = Struct.new(:handler, :task_root, :entry, :concurrency) do
    def self.from_environ(environ)
      new((environ['_HANDLER'] || '').strip, environ['LAMBDA_TASK_ROOT'] || Dir.pwd,
          (environ['MAYFLY_ENTRY'] || '').strip, [environ['MAYFLY_CONCURRENCY'].to_i, 0].max)
    end
  end

  # Loaded user code. model: event or http; target: what to call with (event, context) or an env.
  App = Struct.new(:model, :target, :handler, :settings, :notes) do
    def ready
      { 'model' => model, 'handler' => handler, 'runtime' => "Ruby #{RUBY_VERSION}",
        'concurrency' => settings.concurrency, 'notes' => notes }
    end
  end

  # Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules.
  module Load
    FILES = %w[lambda_function handler main app index function].freeze
    NAMES = %i[handler lambda_handler main].freeze

    class << self
      # Raises InitError.
      def load(settings)
        return named(settings) unless settings.handler.empty?
        return Rack.load(settings) if rack?(settings.task_root)

        detect(settings)
      end

      private

      def fail_with(type, message, trace = [])
        raise InitError, Errors.fault("Runtime.#{type}", message, trace)
      end

      # file.method, file.Class.method or file.Module::Class.method, with slashes for folders; or the
      # name of a file.
      def named(settings)
        handler = settings.handler.delete_prefix('./')
        return Rack.load(settings, handler) if handler.end_with?('.ru')

        if handler.end_with?('.rb')
          file = handler.delete_suffix('.rb')
          before = snapshot
          import(settings, file)
          return first_of(file, before, settings) || nothing_in([file])
        end
        file, *path = handler.split('/').last.to_s.split('.')
        file = [*handler.split('/')[0..-2], file].join('/')
        if path.empty? || path.size > 2 || file.empty? || path.any?(&:empty?)
          fail_with('MalformedHandlerName',
                    "Bad handler '#{settings.handler}': expected file.method or file.Class.method")
        end
        import(settings, file)
        app(callable(file, path, settings.handler), handler, settings)
      end

      def callable(file, path, handler)
        missing = path.size == 1 ? "'#{path.last}'" : "class '#{path.first}'"
        owner = path.size == 1 ? TOPLEVEL_BINDING.receiver : Object.const_get(path.first)
        missing = "'#{path.last}'"
        target = owner.method(path.last)
        # Kernel's own methods (test, system, ...) are no handlers.
        raise NameError if target.owner == Kernel

        target
      rescue NameError
        fail_with('HandlerNotFound', "Handler '#{handler}': #{missing} missing in #{file}.rb")
      end

      def import(settings, file)
        path = File.join(settings.task_root, "#{file}.rb")
        unless File.file?(path)
          fail_with('ImportModuleError', "Unable to load file '#{file}': there is no #{file}.rb in the package")
        end
        require path
      rescue LoadError => e
        fail_with('ImportModuleError', "Unable to load file '#{file}': #{e.message}", Errors.user_frames(e))
      rescue SyntaxError => e
        fail_with('UserCodeSyntaxError', "Syntax error in file '#{file}.rb': #{Errors.message_of(e)}",
                  [Errors.message_of(e)[/\A\S+?:\d+/] || path])
      rescue SystemExit => e
        fail_with('ExitError', "File '#{file}.rb' called exit(#{e.status}) while it was loaded", Errors.user_frames(e))
      rescue InitError
        raise
      rescue Exception => e # rubocop:disable Lint/RescueException
        raise InitError, Errors.describe(e, 'Init')
      end

      def detect(settings)
        files = candidates(settings)
        if files.empty?
          fail_with('HandlerNotFound',
                    "No Ruby file found in the package: expected one of #{FILES.map { |n| "#{n}.rb" }.join(', ')}, " \
                    'config.ru, or a single .rb file; or name the handler, as in --handler file.method')
        end
        files.each do |file|
          before = snapshot
          import(settings, file)
          found = first_of(file, before, settings)
          return found if found
        end
        nothing_in(files)
      end

      def candidates(settings)
        return [settings.entry.delete_suffix('.rb')] if settings.entry.end_with?('.rb')

        there = Dir.children(settings.task_root).select { |name| name.end_with?('.rb') }.map { |name| name[0..-4] }
        found = FILES & there
        found.empty? && there.size == 1 ? there : found
      end

      def snapshot
        [own_methods, Object.constants]
      end

      def own_methods
        Object.private_instance_methods(false) + TOPLEVEL_BINDING.receiver.singleton_methods
      end

      # The handler that a file which was just loaded defines: a method by name, else its only one,
      # else the only class with a method of that name.
      def first_of(file, before, settings)
        methods = own_methods - before[0]
        name = NAMES.find { |one| methods.include?(one) } || (methods.first if methods.size == 1)
        return app(TOPLEVEL_BINDING.receiver.method(name), "#{file}.#{name}", settings) if name

        found = (Object.constants - before[1]).flat_map do |constant|
          owner = Object.const_get(constant)
          next [] unless owner.is_a?(Module)

          NAMES.select { |one| owner.singleton_methods(false).include?(one) }.map { |one| [constant, one] }
        end
        return nil unless found.size == 1

        constant, name = found.first
        app(Object.const_get(constant).method(name), "#{file}.#{constant}.#{name}", settings)
      end

      def nothing_in(files)
        fail_with('HandlerNotFound',
                  "No handler found in #{files.map { |n| "#{n}.rb" }.join(', ')}: define " \
                  'handler(event:, context:); or name the handler, as in --handler file.method')
      end

      # Handlers take keywords as on AWS; two, one or no positional arguments work too.
      def app(target, handler, settings)
        kinds = target.parameters
        keywords = kinds.select { |kind, _| %i[key keyreq].include?(kind) }.map(&:last)
        any = kinds.any? { |kind, _| kind == :keyrest }
        notes = []
        call =
          if any || (keywords.include?(:event) && keywords.include?(:context))
            ->(event, context) { target.call(event: event, context: context) }
          elsif keywords.include?(:event)
            ->(event, _context) { target.call(event: event) }
          else
            positional(target, notes)
          end
        App.new('event', call, handler, settings, notes)
      end

      def positional(target, notes)
        count = target.arity.negative? ? 2 : target.arity
        notes << ['called without arguments', 'called with the event only'][count] if count < 2
        case count
        when 0 then ->(_event, _context) { target.call }
        when 1 then ->(event, _context) { target.call(event) }
        else ->(event, context) { target.call(event, context) }
        end
      end

      def rack?(root)
        File.file?(File.join(root, 'config.ru'))
      end
    end
  end

  # Web apps are not served yet: say so in place of a puzzling error.
  module Rack
    def self.load(_settings, file = 'config.ru')
      raise InitError, Errors.fault(
        'Runtime.HandlerNotFound',
        "#{file} is a Rack app, which this runtime does not serve: name a handler, as in --handler file.method, " \
        'or deploy a program that serves HTTP on $PORT'
      )
    end
  end
end
