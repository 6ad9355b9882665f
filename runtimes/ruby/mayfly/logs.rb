# frozen_string_literal: true

module Mayfly
  # stdout and stderr of the user's code, attributed to the invocation that wrote.
  #
  # Who writes is told by `sole` where one runs at a time, and by a thread variable where several do.
  # What is written before the channel is open goes to the pipes on fd 1 and 2.
  module Logs
    LINE_BYTES = 64 << 10 # an unfinished line longer than this is sent in pieces

    # What output belongs to: a stream, and its unfinished lines.
    Target = Struct.new(:stream, :partial)
    PROCESS = Target.new(0, nil)

    @sole = nil
    @channel = nil
    @threads = false

    class << self
      attr_accessor :sole

      def install
        # Ruby writes warnings to the descriptor itself while $stderr is the object it made.
        $stderr = IO.for_fd(2, 'w', autoclose: false)
        $stdout.sync = $stderr.sync = STDERR.sync = true
        $stderr.extend(Stream).mayfly_which = 2
        STDOUT.extend(Stream).mayfly_which = 1
        STDERR.extend(Stream).mayfly_which = 2
      end

      # Several invocations at once: threads write as the invocation that started them.
      def attribute_threads
        @threads = true
        Thread.prepend(InheritInvocation)
        Thread.singleton_class.prepend(StartInheriting)
      end

      def open_channel(channel)
        finish(PROCESS)
        @channel = channel
      end

      def current
        @threads ? Thread.current.thread_variable_get(:mayfly_target) : @sole
      end

      def current=(target)
        Thread.current.thread_variable_set(:mayfly_target, target)
      end

      # False when it is not ours to attribute: before the channel is open, or in a forked child.
      def write(which, text)
        return false unless @channel&.ours?

        target = current || PROCESS
        partial = (target.partial ||= [nil, +'', +''])
        at = text.rindex("\n")
        if at
          line = partial[which] << text[0..at]
          partial[which] = text[(at + 1)..]
          @channel.log(target.stream, which, line)
        elsif (partial[which] << text).bytesize > LINE_BYTES
          line = partial[which]
          partial[which] = +''
          @channel.log(target.stream, which, line << "\n")
        end
        true
      end

      def flush
        @channel&.flush
      end

      def emit(target, which, text)
        if @channel
          @channel.log(target.stream, which, text)
        else
          (which == 1 ? STDOUT : STDERR).syswrite(text)
        end
      end

      # Sends unfinished lines.
      def finish(target)
        return unless (partial = target.partial)

        target.partial = nil
        [1, 2].each { |which| emit(target, which, partial[which] << "\n") unless partial[which].empty? }
      end
    end

    # In front of STDOUT and STDERR; all ways to print come down to write.
    module Stream
      attr_writer :mayfly_which

      def write(*parts)
        count = 0
        parts.each do |part|
          part = part.to_s
          count += part.bytesize
          super(part) unless part.empty? || Logs.write(@mayfly_which, Errors.text(part))
        end
        count
      end

      def syswrite(part)
        Logs.write(@mayfly_which, Errors.text(part)) ? part.to_s.bytesize : super
      end

      def write_nonblock(part, **options)
        Logs.write(@mayfly_which, Errors.text(part)) ? part.to_s.bytesize : super
      end
    end

    module InheritInvocation
      def initialize(*arguments, **options)
        target = Logs.current
        super do |*given, **named|
          Logs.current = target
          yield(*given, **named)
        end
      end
    end

    module StartInheriting
      def start(*arguments, &block)
        new(*arguments, &block)
      end

      def fork(*arguments, &block)
        new(*arguments, &block)
      end
    end
  end
end
