# frozen_string_literal: true

module Mayfly
  # Serves events in threads, several at once. The main thread reads the channel.
  class ThreadServer < Server
    CLOSING_LOOK = 0.01 # seconds between two looks at what still runs, once it is to end

    def initialize(app, channel)
      super
      @mutex = Mutex.new # guards calls, their credit, and what is incoming
      @changed = ConditionVariable.new
      @queue = Queue.new
      @workers = []
      @main = Thread.current
      Logs.attribute_threads
    end

    def pump
      super unless @closing && !@channel.arrived?(CLOSING_LOOK)
    end

    def look_for_cancel; end

    private

    def work
      until @backlog.empty?
        limit = @app.settings.concurrency
        @workers << Thread.new { serve } if @queue.num_waiting <= @queue.size && @workers.size < limit
        @queue << @backlog.shift
      end
      @channel.flush
    end

    def serve
      Thread.current.report_on_exception = false
      loop do
        invoke(*@queue.pop)
        Logs.current = nil
        @channel.flush
      end
    rescue Exception => e # rubocop:disable Lint/RescueException -- exit, and what must not be lost
      @main.raise(e)
    end

    def begin_call(stream)
      call = @mutex.synchronize { @calls[stream] ||= Call.new(stream, self) }
      Logs.current = call
    end

    # An invocation counts from its arrival on: the process must not end before it has run.
    def accept(stream, meta, body)
      super
      @calls[stream] = Call.new(stream, self)
    end

    def cancel(stream)
      waiting = @backlog.any? { |item| item[0] == stream }
      @calls.delete(stream) if waiting
      super
    end

    def take(*)
      @mutex.synchronize do
        super
        @changed.broadcast
      end
    end

    def trace(_value); end

    def complete(...)
      @mutex.synchronize { super }
    end

    def failed(...)
      @mutex.owned? ? super : @mutex.synchronize { super }
    end

    def send_chunk(...)
      @mutex.synchronize { super }
    end

    def wait_for_credit(_call)
      @channel.flush
      @changed.wait(@mutex)
    end
  end
end
