# frozen_string_literal: true

# What a function wants to be done before its process becomes a template, and in each clone of it. An
# instance that is not cloned runs both, one after the other. Order as with AWS's SnapStart: before in
# reverse, after as registered.
module Mayfly
  module Hooks
    BEFORE = [] # rubocop:disable Style/MutableConstant -- filled by the function
    AFTER = [] # rubocop:disable Style/MutableConstant

    class << self
      # Raises InitError.
      def run_before
        run(BEFORE.pop) until BEFORE.empty?
      end

      # In each instance before its first invocation. Raises InitError.
      def run_after
        run(AFTER.shift) until AFTER.empty?
      end

      def register(list, name, arguments, block)
        raise ArgumentError, "Mayfly.#{name} takes a block" unless block

        list << [block, arguments]
        block
      end

      private

      def run(hook)
        block, arguments = hook
        block.call(*arguments)
      rescue SystemExit => e
        raise InitError, Errors.fault('Runtime.ExitError', "A hook called exit(#{e.status})", Errors.user_frames(e))
      rescue Exception => e # rubocop:disable Lint/RescueException -- the user's code may raise anything
        raise InitError, Errors.describe(e, 'Init')
      end
    end
  end

  def self.before_snapshot(*arguments, &block)
    Hooks.register(Hooks::BEFORE, 'before_snapshot', arguments, block)
  end

  def self.after_restore(*arguments, &block)
    Hooks.register(Hooks::AFTER, 'after_restore', arguments, block)
  end
end
