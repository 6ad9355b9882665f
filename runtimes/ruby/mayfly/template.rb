# frozen_string_literal: true

require_relative 'forking'
require_relative 'unique'

module Mayfly
  # A process that has run the function's initialisation and is then cloned instead of serving.
  # docs/internals/cloning-runtimes.md. Made before anything of the user's is loaded.
  class Template
    THREAD_SECONDS = 1.0 # for threads that are about to end

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
      @why = Forking.load || Forking.lines('open').first
      %w[MAYFLY_TEMPLATE_FD MAYFLY_CLONE_LIB MAYFLY_TEMPLATE_LIB].each { |name| ENV.delete(name) }
      return if @why

      Unique.install
      Process.singleton_class.prepend(Fork)
    end

    # After initialisation. Returns the members of ready that say whether it can be cloned.
    def settle(app)
      @why ||= why_threads
      unless @why
        found = Forking.lines('look')
        @why = found.map { |line| line.delete_prefix('!') if line.start_with?('!') }.compact.first
        app.notes.concat(found.map { |line| line.delete_prefix('-') }) unless @why
      end
      return { 'cloneable' => false, 'why' => @why } if @why

      { 'cloneable' => true }
    end

    # Waits for orders and forks for each. Returns in the clones.
    def run
      ObjectSpace.each_object(IO) { |io| flush(io) }
      Forking.tidy
      Forking.each_order { fork_clone }
    end

    # In the child of a fork, before everything else.
    def become_clone
      environment = Forking.lines('enter')
      Unique.reseed
      Leaving.own
      environment.each do |line|
        name, value = line.split('=', 2)
        ENV[name] = value unless name.empty?
      end
    end

    private

    # The pid or -errno; nil in the clone.
    def fork_clone
      Template.cloning = self
      pid = Process.fork
      Template.cloning = nil
      pid
    rescue SystemCallError => e
      raise unless Template.cloning # in the clone, of a package that does something after a fork

      Template.cloning = nil
      -e.errno
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
      Forking.call('known', native) if thread.join(seconds) && native
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

    # Otherwise each clone would write it.
    def flush(io)
      io.flush unless io.closed? || io.sync
    rescue IOError, SystemCallError
      nil # opened for reading, or nobody reads it
    end
  end
end
