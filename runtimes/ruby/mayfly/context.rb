# frozen_string_literal: true

require 'json'

# The context object of AWS Lambda's Ruby runtime, and `cancelled?`: true once nobody waits for the
# result any more.
class LambdaContext
  attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name,
              :function_name, :memory_limit_in_mb, :function_version, :identity,
              :client_context, :deadline_ms, :tenant_id

  def initialize(meta, call = nil)
    @deadline_ms = meta['deadline_ms'].to_i
    @aws_request_id = meta['id']
    @invoked_function_arn = meta['arn']
    @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
    @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
    @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
    @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
    @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
    @client_context = client(meta['client_context'])
    @call = call
  end

  def get_remaining_time_in_millis
    [0, @deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)].max
  end

  def cancelled?
    @call ? @call.cancelled? : false
  end

  def log(message)
    $stdout.write("#{message}\n")
  end

  def inspect
    "#<LambdaContext aws_request_id=#{@aws_request_id.inspect} function_name=#{@function_name.inspect}>"
  end

  private

  def client(text)
    text && !text.empty? ? JSON.parse(text) : nil
  rescue JSON::ParserError
    nil
  end
end
