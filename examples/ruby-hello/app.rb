# Answers HTTP calls and plain events alike: an HTTP call comes as an event of API Gateway's form.
def handler(event:, context:)
  name = event['name'] || event.dig('queryStringParameters', 'name') || 'World'
  puts "greeting #{name}"
  { message: "Hello #{name}", request: context.aws_request_id }
end
