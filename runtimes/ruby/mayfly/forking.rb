# frozen_string_literal: true

require 'fiddle'

module Mayfly
  # What a zygote and a template have in common: libmayfly_template, a heap made to be forked, and the
  # wait for orders. docs/internals/cloning-runtimes.md
  module Forking
    FULL_COLLECTIONS = 3 # an object is old after three: then no small collection writes to it in a clone
    FUNCTIONS = {
      'zygote' => [[], Fiddle::TYPE_VOIDP], 'environment' => [[], Fiddle::TYPE_VOIDP],
      'open' => [[], Fiddle::TYPE_VOIDP], 'look' => [[], Fiddle::TYPE_VOIDP], 'enter' => [[], Fiddle::TYPE_VOIDP],
      'next' => [[], Fiddle::TYPE_INT], 'forked' => [[Fiddle::TYPE_INT], Fiddle::TYPE_VOID],
      'known' => [[Fiddle::TYPE_INT], Fiddle::TYPE_VOID], 'exit' => [[], Fiddle::TYPE_VOID]
    }.freeze

    class << self
      # Loads the library, unless the zygote has. Returns why it cannot be used, or nil. Without giving
      # up the interpreter's lock in its calls: the thread that asks is the one that forks.
      def load
        return if @functions

        here = File.dirname(ENV['MAYFLY_CLONE_LIB'].to_s)
        library = Fiddle.dlopen(ENV['MAYFLY_TEMPLATE_LIB'] || "#{here}/libmayfly_template.so")
        @functions = FUNCTIONS.to_h do |name, (taken, given)|
          [name, Fiddle::Function.new(library["mayfly_template_#{name}"], taken, given, need_gvl: true)]
        end
        nil
      rescue Fiddle::DLError => e
        "Mayfly's template library cannot be used: #{e.message}"
      end

      def call(name, *arguments)
        @functions.fetch(name).call(*arguments)
      end

      # The strings of a block that an empty one ends.
      def lines(name)
        pointer = call(name)
        found = []
        until (line = pointer.to_s).empty?
          found << line.force_encoding(Encoding::UTF_8)
          pointer += line.bytesize + 1
        end
        found
      end

      # Waits for orders and has the block fork for each. Returns in the children.
      def each_order
        while call('next') == 1
          pid = yield
          return if pid.nil?

          call('forked', pid)
        end
        call('exit')
      end

      # A child shares with its parent the pages that neither of them writes to. Compaction leaves the
      # free places together: otherwise new objects would spread over all pages.
      def tidy
        return Process.warmup if Process.respond_to?(:warmup)

        FULL_COLLECTIONS.times { GC.start }
        GC.compact if GC.respond_to?(:compact)
      rescue NotImplementedError
        nil # not on every machine
      end
    end
  end
end
