# Says when it was initialised and by which process, which instance it is, and a number that is its own.
STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
PID_THEN = Process.pid
rand

def handler(event:, context:)
  $own ||= rand
  sleep(event['s'] || 0)
  { started: STARTED, stream: ENV['AWS_LAMBDA_LOG_STREAM_NAME'], own: $own, pids: [PID_THEN, Process.pid] }
end
