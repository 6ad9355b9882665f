-- One request, again and again: its path, headers and body are in the file that ACCEPT_REQUEST
-- names (path, then lines of NAME: value, an empty line, the body).
local file = assert(io.open(os.getenv("ACCEPT_REQUEST"), "rb"))
wrk.method = "POST"
local path = file:read("*l")
for line in file:lines() do
  if line == "" then break end
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end
wrk.body = file:read("*a")
wrk.path = path
file:close()

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"bad":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
