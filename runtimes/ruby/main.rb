# frozen_string_literal: true

# Starts a Ruby function: ruby /var/runtime/main.rb, frame channel on fd 3.
#
# Two strictly separate steps, so that a template process can be forked between them: initialise loads
# the user's code and opens nothing; serve opens the channel and never returns.

require_relative 'mayfly/frames'
require_relative 'mayfly/errors'
require_relative 'mayfly/logs'
require_relative 'mayfly/gems'
require_relative 'mayfly/context'
require_relative 'mayfly/streaming'
require_relative 'mayfly/load'
require_relative 'mayfly/server'

module Mayfly
  # Loads the user's code and what it takes to serve it. Returns the App; raises InitError.
  def self.initialise(environ)
    settings = Settings.from_environ(environ)
    Logs.install
    Leaving.install
    Gems.prepare(settings.task_root)
    $PROGRAM_NAME = settings.task_root
    ARGV.clear
    Load.load(settings)
  end

  # Serves the app on the frame channel until it is shut down. Does not return.
  def self.serve(app, descriptor = 3)
    channel = Channel.new(descriptor)
    Logs.open_channel(channel)
    Leaving.end_with(Server.for(app, channel))
  end

  def self.main
    begin
      own = IO.for_fd(3, autoclose: false)
      own.close_on_exec = true
    rescue SystemCallError, ArgumentError # Ruby may use it itself
      abort 'mayfly: file descriptor 3 is not open: this program is started by Mayfly'
    end
    begin
      app = initialise(ENV)
    rescue InitError => e
      Leaving.fail_initialisation(e, Channel.new(3))
    end
    serve(app)
  end
end

Mayfly.main if $PROGRAM_NAME == __FILE__
