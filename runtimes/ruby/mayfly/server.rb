# frozen_string_literal: true

require 'json'

module Mayfly
  # One invocation: what its log lines belong to, and its streamed answer.
  class Call < Logs::Target
    attr_accessor :credit, :cancelled, :rest
    attr_reader :server

    def initialize(stream, server)
      super(stream, nil)
      @server = server
      @credit = Frames::INITIAL_WINDOW
      @cancelled = false
      @rest = nil # of a finished answer, waiting for credit
    end

    def cancelled?
      @server.look_for_cancel unless @cancelled
      @cancelled
    end
  end

  # Serves events one at a time, on the main thread.
  class Server
    # The class for an app. Loads it: part of initialisation.
    def self.class_for(app)
      return self if app.settings.concurrency <= 1

      require_relative 'threads'
      ThreadServer
    end

    def self.ready_frame(app, ready)
      Frames.frame(0, Frames::READY, 0, JSON.generate(app.ready.merge(ready)))
    end

    def initialize(app, channel)
      @app = app
      @handler = app.target
      @channel = channel
      @decoder = Decoder.new
      @backlog = [] # complete invokes: [stream, meta, body]
      @incoming = {} # stream -> [meta, pieces of the body]
      @calls = {} # stream -> Call, while its answer is not over
      @closing = false
      @active = nil
      @traced = false
    end

    # Returns the exit status when it was shut down; raises SystemExit when the user's code wants that.
    # ready: members that its first frame has beside the usual ones; nil: a clone, which sends none.
    def run(ready = {})
      @channel.put(Server.ready_frame(@app, ready)) if ready
      @channel.flush
      until @closing && @backlog.empty? && @calls.empty? && @incoming.empty?
        pump
        work
      end
      0
    end

    # Takes in what has arrived.
    def pump
      chunk = @channel.receive or raise EOFError
      @decoder.feed(chunk).each { |frame| take(*frame) }
    end

    def look_for_cancel
      pump while @channel.arrived?
    end

    private

    def work
      flushed = now
      while (item = @backlog.shift)
        invoke(*item)
        if now - flushed > 0.0005
          @channel.flush
          flushed = now
        end
      end
      @channel.flush
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def take(stream, kind, flags, payload)
      case kind
      when Frames::INVOKE then open_stream(stream, flags, payload)
      when Frames::DATA then more(stream, flags, payload)
      when Frames::WINDOW then grant(stream, payload.unpack1('V'))
      when Frames::CANCEL then cancel(stream)
      when Frames::SHUTDOWN then @closing = true
      else raise ProtocolError, "unexpected frame type #{kind}"
      end
    end

    def open_stream(stream, flags, payload)
      meta, _head, body = Frames.split_invoke(payload)
      if flags & Frames::HTTP != 0
        return error(stream, Errors.fault('Runtime.ProtocolError', 'an HTTP request came to an event handler'))
      end
      return accept(stream, meta, body) if flags & Frames::END_FLAG != 0

      @incoming[stream] = [meta, [body]]
      @channel.put(Frames.window(stream, body.bytesize)) unless body.empty?
    end

    def more(stream, flags, payload)
      meta, pieces = @incoming[stream]
      return unless pieces # of a stream that is over

      pieces << payload
      if flags & Frames::END_FLAG != 0
        @incoming.delete(stream)
        accept(stream, meta, pieces.join)
      else
        @channel.put(Frames.window(stream, payload.bytesize))
      end
    end

    def accept(stream, meta, body)
      @backlog << [stream, meta, body]
    end

    def grant(stream, count)
      call = @calls[stream] or return
      call.credit += count
      send_rest(call) if call.rest
    end

    def cancel(stream)
      call = @calls[stream]
      if call && !call.rest
        call.cancelled = true
      elsif call || @incoming.delete(stream) || @backlog.reject! { |item| item[0] == stream }
        @calls.delete(stream)
        error(stream, Errors.cancelled)
      end
    end

    # ---- calling

    def invoke(stream, meta, body)
      call = begin_call(stream)
      meta = JSON.parse(meta)
      event = parse(call, body)
      return if event == FAILED

      trace(meta['trace'])
      answer(call, event, meta)
    ensure
      Logs.sole = nil
    end

    def begin_call(stream)
      @calls[stream] = Logs.sole = Call.new(stream, self)
    end

    FAILED = Object.new.freeze
    private_constant :FAILED

    def parse(call, body)
      return {} if body.empty?

      JSON.parse(body.force_encoding(Encoding::UTF_8), max_nesting: Streaming::DEEPEST)
    rescue StandardError => e
      failed(call, Errors.fault('Runtime.UnmarshalError', "Unable to unmarshal input: #{e.message}"))
      FAILED
    end

    def trace(value)
      if value && !value.empty?
        ENV['_X_AMZN_TRACE_ID'] = value
        @traced = true
      elsif @traced
        ENV.delete('_X_AMZN_TRACE_ID')
        @traced = false
      end
    end

    def answer(call, event, meta)
      result = @handler.call(event, LambdaContext.new(meta, call))
      parts = Streaming.parts_of(result)
      return stream(call, *parts) if parts

      text = marshal(call, result)
      complete(call, text) if text
    rescue SystemExit, SignalException, NoMemoryError
      raise
    rescue Exception => e # rubocop:disable Lint/RescueException -- the user's code may raise anything
      fault = Errors.describe(e)
      failed(call, fault, Errors.log_text_of(e, fault))
    end

    def marshal(call, result)
      JSON.generate(result, max_nesting: Streaming::DEEPEST)
    rescue StandardError, SystemStackError => e
      failed(call, Errors.fault('Runtime.MarshalError', "Unable to marshal response: #{e.message}"))
      nil
    end

    # ---- answers

    def complete(call, text)
      Logs.finish(call)
      text = text.b
      if text.bytesize <= call.credit
        @calls.delete(call.stream)
        @channel.put(Frames.reply(call.stream, Frames::END_FLAG, '', text))
      else
        @channel.put(Frames.reply(call.stream, 0, '', text.byteslice(0, call.credit)))
        call.rest = text.byteslice(call.credit, text.bytesize)
        call.credit = 0
      end
    end

    def send_rest(call)
      while call.rest && call.credit.positive?
        piece = call.rest.byteslice(0, [call.credit, Frames::BODY_BYTES].min)
        call.credit -= piece.bytesize
        last = piece.bytesize == call.rest.bytesize
        @channel.put(Frames.frame(call.stream, Frames::DATA, last ? Frames::END_FLAG : 0, piece))
        call.rest = last ? nil : call.rest.byteslice(piece.bytesize, call.rest.bytesize)
        @calls.delete(call.stream) if last
      end
      @channel.flush
    end

    def failed(call, fault, text = nil)
      Logs.finish(call)
      Logs.emit(call, 2, text || Errors.log_text(fault))
      error(call.stream, fault)
      @calls.delete(call.stream)
    end

    def error(stream, fault)
      @channel.put(Frames.frame(stream, Frames::ERROR, Frames::END_FLAG, JSON.generate(fault)))
    end

    def stream(call, head, items)
      started = false
      items.each do |item|
        if !started && head.nil? && Streaming.head?(item)
          head = item
          next
        end
        unless started
          @channel.put(Frames.reply(call.stream, Frames::HTTP, Streaming.head_json(head, item)))
          started = true
        end
        send_chunk(call, Streaming.bytes(item))
      end
      Logs.finish(call)
      @calls.delete(call.stream)
      if started
        @channel.put(Frames.frame(call.stream, Frames::DATA, Frames::END_FLAG, ''))
      else
        flags = Frames::HTTP | Frames::END_FLAG
        @channel.put(Frames.reply(call.stream, flags, Streaming.head_json(head, '')))
      end
    rescue Cancelled
      failed(call, Errors.cancelled)
    end

    # Sends streamed bytes as credit allows. Raises Cancelled into the stream, whose ensure runs.
    def send_chunk(call, data)
      at = 0
      while at < data.bytesize
        raise Cancelled if call.cancelled

        if call.credit.zero?
          wait_for_credit(call)
          next
        end
        piece = data.byteslice(at, [call.credit, Frames::BODY_BYTES].min)
        call.credit -= piece.bytesize
        @channel.put(Frames.frame(call.stream, Frames::DATA, 0, piece))
        at += piece.bytesize
      end
      @channel.flush
      raise Cancelled if call.cancelled?
    end

    def wait_for_credit(_call)
      @channel.flush
      pump
    end
  end

  # The ways in which the process ends.
  module Leaving
    # Registered before the user's code has its turn, and so run after its own.
    def self.install
      own
      at_exit { flush if Process.pid == @owner }
    end

    # The process is the instance: not a child of the user's.
    def self.own
      @owner = Process.pid
    end

    def self.end_with(server, ready)
      exit(server.run(ready))
    rescue EOFError, Errno::EPIPE, Errno::ECONNRESET
      exit(0) # the engine is gone
    rescue ProtocolError => e
      STDERR.syswrite("mayfly: #{e.message}\n")
      exit(1)
    end

    def self.flush
      Logs.finish(Logs.sole || Logs::PROCESS)
      Logs.flush
    rescue SystemCallError, IOError
      nil # the engine is gone
    end

    def self.fail_initialisation(error, channel)
      Logs.open_channel(channel)
      STDERR.write(Errors.log_text(error.fault))
      channel.put(Frames.frame(0, Frames::INIT_ERROR, 0, JSON.generate(error.fault)))
      channel.flush
    rescue SystemCallError
      nil # the engine is gone
    ensure
      Process.exit!(1)
    end
  end
end
