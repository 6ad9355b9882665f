# frozen_string_literal: true

module Mayfly
  HERE = "#{File.dirname(__dir__)}/"

  # Initialisation failed; fault is the JSON form as a Hash.
  class InitError < StandardError
    attr_reader :fault

    def initialize(fault)
      super(fault['errorMessage'])
      @fault = fault
    end
  end

  # The caller is gone; raised inside of a stream that is being written.
  class Cancelled < StandardError; end

  # What went wrong in the user's code, in the form of AWS Lambda's Ruby runtime.
  module Errors
    def self.fault(type, message, trace = [])
      { 'errorType' => type, 'errorMessage' => text(message), 'stackTrace' => trace }
    end

    # phase: Function or Init, as on AWS: Function<ArgumentError>.
    def self.describe(error, phase = 'Function')
      fault("#{phase}<#{error.class}>", message_of(error), user_frames(error))
    end

    def self.user_frames(error)
      (error.backtrace || []).reject { |line| line.start_with?(HERE, '<internal:') }.map { |line| text(line) }
    end

    def self.message_of(error)
      error.message
    rescue StandardError
      '<the exception cannot be printed>'
    end

    # UTF-8 in any case: it goes into JSON.
    def self.text(string)
      string = string.to_s
      string = string.encode(Encoding::UTF_8, invalid: :replace, undef: :replace) unless string.encoding == Encoding::UTF_8
      string.scrub
    rescue EncodingError
      string.b.force_encoding(Encoding::UTF_8).scrub
    end

    # What the log shows.
    def self.log_text(fault)
      trace = fault['stackTrace'].map { |line| "  from #{line}\n" }.join
      "[ERROR] #{fault['errorType']}: #{fault['errorMessage']}\n#{trace}"
    end

    # As log_text, followed by the chain of causes.
    def self.log_text_of(error, fault)
      text = log_text(fault)
      seen = [error]
      while (error = error.cause) && !seen.include?(error)
        seen << error
        text += "caused by #{log_text(fault(error.class.name, message_of(error), user_frames(error))).delete_prefix('[ERROR] ')}"
      end
      text
    end

    def self.cancelled
      fault('Runtime.Cancelled', 'The invocation was cancelled: the caller is gone or it is late.')
    end
  end
end
