# frozen_string_literal: true

# Starts a Ruby function: ruby /var/runtime/main.rb, frame channel on fd 3.
#
# Two strictly separate steps, so that a template process can be forked between them: initialise loads
# the user's code and opens nothing; serve opens the channel and never returns. With MAYFLY_TEMPLATE_FD
# the process is such a template: what it serves, it serves in its clones. With MAYFLY_ZYGOTE_FD it is
# a zygote: whatever of the above, it does in forks of itself.

require_relative 'mayfly/frames'
require_relative 'mayfly/errors'
require_relative 'mayfly/logs'
require_relative 'mayfly/gems'
require_relative 'mayfly/context'
require_relative 'mayfly/streaming'
require_relative 'mayfly/load'
require_relative 'mayfly/server'
require_relative 'mayfly/hooks'

module Mayfly
  # Loads the user's code and what it takes to serve it. Returns the App; raises InitError.
  def self.initialise(environ)
    settings = Settings.from_environ(environ)
    Logs.install
    Leaving.install
    Gems.prepare(settings.task_root)
    $PROGRAM_NAME = settings.task_root
    ARGV.clear
    app = Load.load(settings)
    Server.class_for(app)
    app
  end

  # Serves the app on the frame channel until it is shut down. Does not return.
  #
  # ready: members that its first frame has beside the usual ones; nil: a clone, whose template has
  # said that it is ready.
  def self.serve(app, descriptor = 3, ready = {})
    channel = Channel.new(descriptor)
    Logs.open_channel(channel)
    Leaving.end_with(Server.class_for(app).new(app, channel), ready)
  end

  # Initialises, and in a template waits for orders. Returns the app and what serve takes as ready.
  # Raises InitError.
  def self.start(template)
    app = initialise(ENV)
    Hooks.run_before
    ready = template ? template.settle(app) : {}
    if ready['cloneable']
      own = Channel.new(3)
      own.put(Server.ready_frame(app, ready))
      own.flush
      template.run # returns in each clone
      ready = nil
    end
    Hooks.run_after
    [app, ready]
  end

  def self.main
    unless ENV['MAYFLY_ZYGOTE_FD'].to_s.empty?
      require_relative 'mayfly/zygote'
      Zygote.run # returns in each program
    end
    begin
      own = IO.for_fd(3, autoclose: false)
      own.close_on_exec = true
    rescue SystemCallError, ArgumentError # Ruby may use it itself
      abort 'mayfly: file descriptor 3 is not open: this program is started by Mayfly'
    end
    begin
      app, ready = start(template)
    rescue InitError => e
      Leaving.fail_initialisation(e, Channel.new(3))
    end
    serve(app, 3, ready)
  end

  def self.template
    return nil if ENV['MAYFLY_TEMPLATE_FD'].to_s.empty?

    require_relative 'mayfly/template'
    Template.new
  end
end

Mayfly.main if $PROGRAM_NAME == __FILE__
