# Says when it was initialised, which instance it is, and a number that is the instance's own.
STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
rand

def handler(event:, context:)
  $own ||= rand
  sleep(event['s'] || 0)
  { started: STARTED, stream: ENV['AWS_LAMBDA_LOG_STREAM_NAME'], own: $own }
end
