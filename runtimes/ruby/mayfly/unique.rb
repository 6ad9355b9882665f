# frozen_string_literal: true

# Randomness in a template: what was drawn before the clone must not be the same in every clone.
# SecureRandom asks the kernel each time; OpenSSL is seeded by libmayfly_template.
module Mayfly
  module Unique
    # Remembers the generators whose seed Ruby has chosen, among them the one for temporary names.
    module Remember
      def initialize(*seed)
        super
        Unique.made(self, seed.empty?)
      end
    end

    @unseeded = ObjectSpace::WeakMap.new

    class << self
      # Before the user's code is loaded.
      def install
        Random.prepend(Remember)
      end

      def made(generator, chosen)
        chosen ? @unseeded[generator] = true : @unseeded.delete(generator)
      rescue NoMethodError # WeakMap#delete is new in Ruby 3.3
        @unseeded[generator] = false
      end

      # First thing in a clone.
      def reseed
        Random.srand
        again = Random.instance_method(:initialize)
        @unseeded.each { |generator, chosen| again.bind_call(generator) if chosen && !generator.frozen? }
      end
    end
  end
end
