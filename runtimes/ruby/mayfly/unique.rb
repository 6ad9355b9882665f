# frozen_string_literal: true

# Randomness in a template: what was drawn before the clone must not be the same in every clone.
# SecureRandom asks the kernel each time; OpenSSL is seeded by libmayfly_template.
module Mayfly
  module Unique
    # Remembers the generators whose seed Ruby has chosen, among them the one for temporary names.
    module Remember
      def initialize(*seed)
        super
        Unique.choose(self.seed) if seed.empty?
        Unique.made(self, seed.empty? || Unique.chosen?(seed.first))
      end

      def initialize_copy(other)
        super
        Unique.made(self, Unique.unseeded?(other))
      end

      private

      # What was dumped says the seed it began with.
      def marshal_load(dump)
        super
        Unique.made(self, Unique.chosen?(seed))
      end
    end

    # A seed that comes from here is none that the user has chosen.
    module Draw
      def new_seed
        super.tap { |seed| Unique.choose(seed) }
      end
    end

    SEEDS_KEPT = 4096

    @unseeded = ObjectSpace::WeakMap.new
    @seeds = {}

    class << self
      # Before the user's code is loaded.
      def install
        Random.prepend(Remember)
        Random.singleton_class.prepend(Draw)
      end

      def choose(seed)
        return if @cloned

        @seeds.shift if @seeds.size >= SEEDS_KEPT
        @seeds[seed] = true
      end

      def chosen?(seed)
        @seeds.key?(seed)
      end

      def unseeded?(generator)
        @unseeded.key?(generator) && @unseeded[generator]
      end

      def made(generator, chosen)
        chosen ? @unseeded[generator] = true : @unseeded.delete(generator)
      rescue NoMethodError # WeakMap#delete is new in Ruby 3.3
        @unseeded[generator] = false
      end

      # First thing in a clone.
      def reseed
        @cloned = true
        Random.srand
        again = Random.instance_method(:initialize)
        @unseeded.each { |generator, chosen| again.bind_call(generator) if chosen && !generator.frozen? }
        @seeds.clear
        reset_uuidtools
      end

      private

      # timestamp_create keeps the clock sequence of its first call; without one it draws another.
      def reset_uuidtools
        return unless defined?(::UUIDTools::UUID) && ::UUIDTools::UUID.is_a?(Module)

        %i[@@last_clock_sequence @@last_node_id].each do |name|
          ::UUIDTools::UUID.class_variable_set(name, nil) if ::UUIDTools::UUID.class_variable_defined?(name)
        end
      end
    end
  end
end
