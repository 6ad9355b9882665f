# frozen_string_literal: true

require 'fiddle'
require_relative 'unique'

module Mayfly
  # A process that has run the function's initialisation and is then cloned instead of serving.
  # docs/internals/cloning-runtimes.md. Made before anything of the user's is loaded.
  class Template
    THREAD_SECONDS = 1.0 # for threads that are about to end
    FULL_COLLECTIONS = 3 # an object is old after three: then no small collection writes to it in a clone

    # Every way to fork goes through this, and what packages put in front of it later runs outside of
    # it: in the sandbox, and as unique as the clone.
    module Fork
      def _fork
        pid = super
        Template.forked if pid.zero?
        pid
      end
    end

    class << self
      attr_accessor :cloning

      def forked
        return unless cloning

        template = cloning
        self.cloning = nil
        template.become_clone
      end
    end

    def initialize
      here = File.dirname(ENV['MAYFLY_CLONE_LIB'].to_s)
      load_library(ENV.delete('MAYFLY_TEMPLATE_LIB') || "#{here}/libmayfly_template.so")
      %w[MAYFLY_TEMPLATE_FD MAYFLY_CLONE_LIB].each { |name| ENV.delete(name) }
      return if @why

      Unique.install
      Process.singleton_class.prepend(Fork)
    end

    # After initialisation. Returns the members of ready that say whether it can be cloned.
    def settle(app)
      @why ||= why_threads
      unless @why
        found = lines(@look.call)
        @why = found.map { |line| line.delete_prefix('!') if line.start_with?('!') }.compact.first
        app.notes.concat(found.map { |line| line.delete_prefix('-') }) unless @why
      end
      return { 'cloneable' => false, 'why' => @why } if @why

      { 'cloneable' => true }
    end

    # Waits for orders and forks for each. Returns in the clones.
    def run
      tidy
      while @next.call == 1
        Template.cloning = self
        begin
          pid = Process.fork
        rescue SystemCallError => e
          raise unless Template.cloning # in the clone, of a package that does something after a fork

          pid = -e.errno
        end
        return if pid.nil?

        Template.cloning = nil
        @forked.call(pid)
      end
      @exit.call
    end

    # In the child of a fork, before everything else.
    def become_clone
      environment = lines(@enter.call)
      Unique.reseed
      Leaving.own
      environment.each do |line|
        name, value = line.split('=', 2)
        ENV[name] = value unless name.empty?
      end
    end

    private

    # Without giving up the interpreter's lock: the thread that asks is the one that forks.
    def load_library(path)
      library = Fiddle.dlopen(path)
      import = lambda do |name, taken, given|
        Fiddle::Function.new(library["mayfly_template_#{name}"], taken, given, need_gvl: true)
      end
      open, @look, @enter = %w[open look enter].map { |name| import.call(name, [], Fiddle::TYPE_VOIDP) }
      @next = import.call('next', [], Fiddle::TYPE_INT)
      @forked = import.call('forked', [Fiddle::TYPE_INT], Fiddle::TYPE_VOID)
      @known = import.call('known', [Fiddle::TYPE_INT], Fiddle::TYPE_VOID)
      @exit = import.call('exit', [], Fiddle::TYPE_VOID)
      @why = lines(open.call).first
    rescue Fiddle::DLError => e
      @why = "Mayfly's template library cannot be used: #{e.message}"
    end

    # The strings of a block that an empty one ends.
    def lines(pointer)
      found = []
      until (line = pointer.to_s).empty?
        found << line.force_encoding(Encoding::UTF_8)
        pointer += line.bytesize + 1
      end
      found
    end

    # The gem timeout keeps a thread from its first use on, and starts another where that one is dead.
    def end_watchers
      Thread.list.each { |thread| ended(thread, &:kill) if thread.name == 'Timeout stdlib thread' }
    end

    # Waits for a thread. Ruby keeps the native one for seconds: it is not the function's any more.
    def ended(thread, seconds = nil)
      sleep(0.01) unless thread.native_thread_id # it has not begun yet
      native = thread.native_thread_id
      yield thread if block_given?
      @known.call(native) if thread.join(seconds) && native
    end

    # Native threads are looked for by the library.
    def why_threads
      end_watchers
      finish = Process.clock_gettime(Process::CLOCK_MONOTONIC) + THREAD_SECONDS
      until (others = Thread.list - [Thread.current]).empty?
        left = finish - Process.clock_gettime(Process::CLOCK_MONOTONIC)
        return threads_that_run(others) if left <= 0

        ended(others.first, left)
      end
      nil
    rescue Exception => e # rubocop:disable Lint/RescueException -- what the thread has raised is its own affair
      raise if e.is_a?(SignalException)

      retry
    end

    def threads_that_run(others)
      names = others.map { |thread| "'#{thread.name || thread.inspect[/[^ ]+:\d+/] || 'without a name'}'" }
      "initialisation has started threads that still run: #{names.join(', ')}. A process with threads cannot be " \
        'cloned; start them in the handler, or end them in a hook registered with Mayfly.before_snapshot'
    end

    # Clones share with the template the pages that neither of them writes to. Compaction leaves the
    # free places together: otherwise new objects would spread over all pages.
    def tidy
      ObjectSpace.each_object(IO) { |io| flush(io) }
      return Process.warmup if Process.respond_to?(:warmup)

      FULL_COLLECTIONS.times { GC.start }
      GC.compact if GC.respond_to?(:compact)
    rescue NotImplementedError
      nil # not on every machine
    end

    # Otherwise each clone would write it.
    def flush(io)
      io.flush unless io.closed? || io.sync
    rescue IOError, SystemCallError
      nil # opened for reading, or nobody reads it
    end
  end
end
