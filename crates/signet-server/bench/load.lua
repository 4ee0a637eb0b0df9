-- What wrk sends. Arguments: operation, file with "<api key> <user id>" lines, a tag unique to the run.
-- Requests are put together once, so that the generator costs as little as it can; a write varies by a number.

local operation, tag
local requests, count, position = {}, 0, 0
local keys, users = {}, {}
thread_number = 0 -- set for each thread by setup, which cannot reach a local
local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local function get(path, key)
  return wrk.format("GET", path, { ["Authorization"] = "Bearer " .. key })
end

local function send(method, path, key, body)
  local headers = { ["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json" }
  return wrk.format(method, path, headers, body)
end

local builders = {
  get = function(n) return get("/partner/v1/get-user?userId=" .. users[n], keys[n]) end,
  bare = function(n) return get("/partner/v1/get-user?userId=none", keys[n]) end,
  list = function(n) return get("/partner/v1/all-users", keys[n]) end,
  deep = function(n) return get("/partner/v1/all-users?offset=" .. deep_offset, keys[n]) end,
}

local function register()
  position = position + 1
  local n = math.random(count)
  local email = string.format("%s-%d-%d@bench.example", tag, thread_number, position)
  return send("POST", "/partner/v1/register-user", keys[n], '{"name":"Bench User","email":"' .. email .. '"}')
end

local function update()
  position = position + 1
  local n = math.random(count)
  local body = string.format('{"userId":"%s","metadata":{"seen":"%s-%d-%d"}}', users[n], tag, thread_number, position)
  return send("PATCH", "/partner/v1/update-user", keys[n], body)
end

function init(arguments)
  operation, tag = arguments[1], arguments[3]
  deep_offset = arguments[4]
  math.randomseed(tonumber(arguments[5]) + thread_number)
  for line in io.lines(arguments[2]) do
    local key, user = line:match("(%S+) (%S+)")
    count = count + 1
    keys[count], users[count] = key, user
  end
  local build = builders[operation] or (operation == "mix" and builders.get)
  if build then
    for n = 1, count do requests[n] = build(n) end
  end
end

function request()
  if operation == "register" then return register() end
  if operation == "update" then return update() end
  if operation == "mix" and math.random(10) == 1 then
    if math.random(2) == 1 then return register() else return update() end
  end
  return requests[math.random(count)]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "micros": %d, "p50": %d, "p99": %d, "p999": %d, "bad": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
