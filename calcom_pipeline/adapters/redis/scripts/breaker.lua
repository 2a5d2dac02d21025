-- breaker.lua KEYS={circuit} ARGV={look|enter|report, id, failures to open, open_ms, successes to close, lease_ms, ttl_ms,
--   outcome ok|failed|unclear, epoch}: {0 pass | 1 refused, ms until to ask again, epoch, closed 0 | open 1 | half-open 2}
-- An epoch ends with every change of state; what a request of an earlier epoch reports is ignored.
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local circuit, verb, id = KEYS[1], ARGV[1], ARGV[2]
local to_open, open_for, to_close, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local ttl, outcome, told_epoch = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local PASS, REFUSED, CLOSED, OPEN, HALF_OPEN = 0, 1, 0, 1, 2
local PROBE_POLL = 1000  -- ms: when to come back while another request probes

local function number(name) return tonumber(redis.call("HGET", circuit, name) or 0) end
local epoch, until_, probe_until = number("epoch"), number("until"), number("probe_until")
if until_ > now + open_for then until_ = now + open_for end  -- the server's clock stepped back
if probe_until > now + number("probe_lease") then probe_until = now end
local status = until_ == 0 and CLOSED or (until_ > now and OPEN or HALF_OPEN)

local function become(next_until)
  redis.call("HSET", circuit, "until", next_until, "epoch", epoch + 1)
  redis.call("HDEL", circuit, "failures", "successes", "probe", "probe_until")
end

if verb == "report" then
  local probing = status == HALF_OPEN and redis.call("HGET", circuit, "probe") == id
  if status == CLOSED and told_epoch == epoch then
    if outcome == "ok" then
      redis.call("HDEL", circuit, "failures")
    elseif outcome == "failed" and redis.call("HINCRBY", circuit, "failures", 1) >= to_open then
      become(now + open_for)
    end
  elseif probing then
    redis.call("HDEL", circuit, "probe", "probe_until")
    if outcome == "failed" then
      become(now + open_for)
    elseif outcome == "ok" and redis.call("HINCRBY", circuit, "successes", 1) >= to_close then
      become(0)
    end
  end
  redis.call("PEXPIRE", circuit, ttl)
  return {PASS, 0, epoch, status}
end

if status == CLOSED then return {PASS, 0, epoch, CLOSED} end
if status == OPEN then return {REFUSED, until_ - now, epoch, OPEN} end
if probe_until > now then return {REFUSED, math.min(PROBE_POLL, probe_until - now), epoch, HALF_OPEN} end
if verb == "enter" then
  redis.call("HSET", circuit, "probe", id, "probe_until", now + lease, "probe_lease", lease)
  redis.call("PEXPIRE", circuit, ttl)
end
return {PASS, 0, epoch, HALF_OPEN}
