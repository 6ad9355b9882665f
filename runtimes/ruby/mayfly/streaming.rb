# frozen_string_literal: true

require 'json'

module Mayfly
  # Answers that are streamed: what a handler may return besides a JSON value.
  #
  # An Enumerator: its items are the body; a first item that is a Hash with statusCode is the head. A
  # Hash with statusCode whose body is an Enumerator, or an IO: head and body.
  module Streaming
    DEEPEST = 512

    def self.stream?(value)
      value.is_a?(Enumerator) || value.is_a?(IO)
    end

    # [head or nil, body] when the result is a stream, else nil.
    def self.parts_of(result)
      return [nil, result] if stream?(result)

      body = field(result, 'body') if head?(result)
      stream?(body) ? [result, body] : nil
    end

    def self.head?(value)
      value.is_a?(Hash) && (value.key?('statusCode') || value.key?(:statusCode))
    end

    def self.field(hash, name)
      hash.fetch(name) { hash[name.to_sym] }
    end

    # The response head of a Lambda style Hash, as JSON.
    def self.head_json(head, first)
      head ||= {}
      fields = []
      many = field(head, 'multiValueHeaders') || {}
      many.each { |name, values| Array(values).each { |value| fields << [name.to_s, value.to_s] } }
      names = many.keys.map { |name| name.to_s.downcase }
      (field(head, 'headers') || {}).each do |name, values|
        next if names.include?(name.to_s.downcase)

        Array(values).each { |value| fields << [name.to_s, value.to_s] }
      end
      (field(head, 'cookies') || []).each { |cookie| fields << ['set-cookie', cookie.to_s] }
      unless fields.any? { |name, _| name.casecmp?('content-type') }
        fields << ['content-type', text?(first) ? 'text/plain; charset=utf-8' : 'application/octet-stream']
      end
      JSON.generate('status' => (field(head, 'statusCode') || 200).to_i, 'headers' => fields)
    end

    def self.text?(item)
      item.is_a?(String) && item.encoding != Encoding::BINARY
    end

    # Body bytes of an item: strings as they are, anything else as a line of JSON.
    def self.bytes(item)
      return "#{JSON.generate(item)}\n".b unless item.is_a?(String)

      item = item.encode(Encoding::UTF_8) unless [Encoding::UTF_8, Encoding::BINARY].include?(item.encoding)
      item.b
    end
  end
end
