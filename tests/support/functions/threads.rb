# Starts a thread while it initialises: it cannot be cloned.
Thread.new { sleep }

def handler(event:, context:)
  { threads: Thread.list.size }
end
