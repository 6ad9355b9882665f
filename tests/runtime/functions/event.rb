# The event handler of the conformance suite: event['op'] says what to do.

puts 'loaded'

def fail_with(text)
  raise RangeError, text
end

def lines(count)
  Enumerator.new { |out| count.times { |number| out << "line #{number}\n" } }
end

def blocks(count, size)
  Enumerator.new do |out|
    out << { 'statusCode' => 200, 'headers' => { 'content-type' => 'application/x-blocks' } }
    count.times { out << ('b' * size).b }
  end
end

def endless
  Enumerator.new do |out|
    loop { out << ('x' * 65_536).b }
  ensure
    puts 'closed the stream'
  end
end

def failing_stream
  Enumerator.new do |out|
    out << "before\n"
    raise 'in the middle'
  end
end

def context_members(context)
  client = context.client_context
  { 'request_id' => context.aws_request_id, 'name' => context.function_name,
    'version' => context.function_version, 'arn' => context.invoked_function_arn,
    'memory' => context.memory_limit_in_mb, 'log_group' => context.log_group_name,
    'log_stream' => context.log_stream_name, 'remaining' => context.get_remaining_time_in_millis,
    'client_custom' => client && client['custom'], 'client_title' => client && client['client']['app_title'] }
end

def write_logs(event)
  name = event['name']
  puts "out #{name}"
  $stdout.write('half ')
  $stdout.print("and half #{name}\n")
  warn "err #{name}"
  puts 'größe €' if event['unicode']
  print "unfinished #{name}"
  name
end

def circle
  found = {}
  found['self'] = found
  found
end

def streams(event)
  case event['op']
  when 'stream'
    { 'statusCode' => 201, 'headers' => { 'content-type' => 'text/x-lines', 'x-one' => '1' },
      'cookies' => ['a=1', 'b=2'], 'body' => lines(event['count']) }
  when 'blocks' then blocks(event['count'], event['size'])
  when 'endless' then endless
  when 'binary' then Array.new(3) { (0..255).to_a.pack('C*') }.each
  when 'stream_fails' then failing_stream
  else { 'unknown' => event['op'] }
  end
end

def nap(event)
  puts "sleeping #{event['name']}"
  sleep event.fetch('seconds', 0)
  sleep 0.005 until File.exist?(event.fetch('until', '/'))
  puts "slept #{event['name']}"
  event['name']
end

def remaining(context)
  first = context.get_remaining_time_in_millis
  sleep 0.05
  [first, context.get_remaining_time_in_millis]
end

def wait_for_cancel(context)
  puts 'waiting'
  sleep 0.005 until context.cancelled?
  puts 'noticed'
end

def handler(event:, context:)
  case event['op']
  when 'echo' then event['value']
  when 'context' then context_members(context)
  when 'raise' then fail_with(event['text'] || 'boom')
  when 'unmarshalable' then event['kind'] == 'circle' ? circle : { 'nan' => Float::NAN }
  when 'log' then write_logs(event)
  when 'env' then event['names'].to_h { |name| [name, ENV[name]] }
  when 'large' then 'x' * event['size']
  when 'size' then event['value'].length
  when 'sleep' then nap(event)
  when 'wait_for_cancel' then wait_for_cancel(context)
  when 'remaining' then remaining(context)
  when 'exit'
    puts 'leaving'
    exit 3
  else streams(event)
  end
end
