# frozen_string_literal: true

# What every function needs sooner or later. Nothing that draws random numbers as it is loaded, and
# nothing that a fork would share: descriptors, threads.
require_relative 'threads'
require_relative 'template'

module Mayfly
  # A process with the interpreter and this runtime loaded, and nothing of any user's. The programs of
  # new sandboxes are forked from it instead of being started. docs/internals/cloning-runtimes.md.
  module Zygote
    class << self
      # Waits for orders and forks for each. Returns in the programs, as if they had been started.
      def run
        why = Forking.load || Forking.lines('zygote').first
        abort "mayfly: #{why}" if why
        Forking.tidy
        Forking.each_order do
          Process.fork
        rescue SystemCallError => e
          -e.errno
        end
        become_program
      end

      private

      def become_program
        Random.srand
        ENV.replace(Forking.lines('environment').to_h { |line| line.partition('=').values_at(0, 2) })
      end
    end
  end
end
