# frozen_string_literal: true

# Frames: see docs/internals/frames.md, which this file and src/wire/frames.h follow.
module Mayfly
  module Frames
    INVOKE, DATA, CANCEL, WINDOW, SHUTDOWN = 1, 2, 3, 4, 5
    READY, INIT_ERROR, REPLY, ERROR, LOG = 65, 66, 67, 69, 70
    END_FLAG, HTTP = 1, 2

    MAX_FRAME = 64 << 20
    INITIAL_WINDOW = 1 << 20
    RECV_BYTES = 256 << 10
    BODY_BYTES = 256 << 10 # the most body bytes put into one frame
    HEADER = 'VVCCv'

    def self.frame(stream, kind, flags, payload)
      [payload.bytesize, stream, kind, flags, 0].pack(HEADER) << payload.b
    end

    def self.window(stream, count)
      [4, stream, WINDOW, 0, 0, count].pack('VVCCvV')
    end

    # head: JSON text, empty for the result of an event.
    def self.reply(stream, flags, head, body = '')
      size = 4 + head.bytesize + body.bytesize
      [size, stream, REPLY, flags, 0, head.bytesize].pack('VVCCvV') << head.b << body.b
    end

    # [meta, head, body] of an invoke payload; head is empty when it is not an HTTP request.
    def self.split_invoke(payload)
      meta = payload.unpack1('V')
      raise ProtocolError, 'an invoke frame is too short' if 8 + meta > payload.bytesize

      head = payload.unpack1('V', offset: 4 + meta)
      start = 8 + meta
      raise ProtocolError, 'the lengths inside an invoke frame do not fit' if start + head > payload.bytesize

      [payload.byteslice(4, meta), payload.byteslice(start, head),
       payload.byteslice(start + head, payload.bytesize)]
    end
  end

  # The other side broke the protocol: there is no way to go on.
  class ProtocolError < StandardError; end

  # Cuts received bytes into frames.
  class Decoder
    EMPTY = ''.b.freeze

    def initialize
      @rest = EMPTY
      @parts = nil # pieces of a frame larger than one read
      @missing = 0
    end

    # The complete frames, as [stream, kind, flags, payload].
    def feed(chunk)
      data = gather(chunk)
      frames = []
      return frames unless data

      at = 0
      size = data.bytesize
      while size - at >= 12
        length, stream, kind, flags, = data.unpack(Frames::HEADER, offset: at)
        check_length(length)
        finish = at + 12 + length
        if finish > size
          @parts = [data.byteslice(at, size)]
          @missing = finish - size
          return frames
        end
        frames << [stream, kind, flags, data.byteslice(at + 12, length)]
        at = finish
      end
      @rest = at == size ? EMPTY : data.byteslice(at, size)
      frames
    end

    private

    # All that is there to look at; nil while a frame is still far from complete.
    def gather(chunk)
      if @parts
        @parts << chunk
        @missing -= chunk.bytesize
        return nil if @missing.positive?

        chunk = @parts.join
        @parts = nil
      elsif !@rest.empty?
        chunk = @rest + chunk
      end
      @rest = EMPTY
      chunk
    end

    def check_length(length)
      return if length <= Frames::MAX_FRAME

      raise ProtocolError, "a frame of #{length} bytes is over the limit of #{Frames::MAX_FRAME}"
    end
  end

  # The channel's socket. put, flush and log may be called by any thread, receive by one.
  class Channel
    def initialize(descriptor)
      @reader = IO.for_fd(descriptor, 'rb', autoclose: false)
      @writer = IO.for_fd(descriptor, 'wb', autoclose: false)
      @reader.close_on_exec = true
      @writer.sync = true
      @lock = Mutex.new
      @out = String.new(encoding: Encoding::BINARY)
      @owner = Process.pid
    end

    # False in a forked child of the user's: the channel belongs to the parent.
    def ours?
      Process.pid == @owner
    end

    # Up to RECV_BYTES; nil at the end.
    def receive
      @reader.readpartial(Frames::RECV_BYTES)
    rescue EOFError, SystemCallError
      nil
    end

    # Is there something to receive? Waits so many seconds for it.
    def arrived?(seconds = 0)
      IO.select([@reader], nil, nil, seconds) ? true : false
    end

    # To be sent with the next flush.
    def put(data)
      @lock.synchronize { @out << data }
    end

    def flush
      @lock.synchronize do
        next if @out.empty?

        out = @out
        @out = String.new(encoding: Encoding::BINARY)
        @writer.write(out) if ours?
      end
    end

    # Sends whole lines at once: they must survive if the process dies next. The user's code runs
    # below this (Timeout, Thread#kill): a frame must not be cut off in the middle.
    def log(stream, which, text)
      text = text.b
      Thread.handle_interrupt(Object => :never) do
        at = 0
        while at < text.bytesize
          piece = text.byteslice(at, Frames::BODY_BYTES)
          put([piece.bytesize + 1, stream, Frames::LOG, 0, 0, which].pack('VVCCvC') << piece)
          at += piece.bytesize
        end
        flush
      end
    end
  end
end
