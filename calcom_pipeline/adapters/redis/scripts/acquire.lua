-- acquire.lua KEYS={log, state, leases, foreign, interactive, sync, warm, backfill}
-- ARGV={mode ask|peek, lane 1..4, id, turn (0: none yet), limit, safety, reserve, window_ms, burst, arrival_ms, lease_ms, ttl_ms,
--       longest_ms (what an answer told is waited out no longer), account}
-- answers {1 granted | 0, ms until to ask again, ms until the lane is free without its queue, turn}; Redis's own clock
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local mode, lane, id, turn = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local limit, safety, reserve = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local window, burst, arrival = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local lease, ttl, longest, account = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14]
local LOG, STATE, LEASES, FOREIGN, LANES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 4
local INTERACTIVE, WARM, BACKFILL = 1, 3, 4
local OTHERS_BETWEEN = 9     -- a waiting lower lane gets every tenth grant that is not interactive
local COLD_POLL = 100        -- ms between looks while one request finds out what Cal.com thinks
local TURN_POLL = 20         -- ms between looks while a request may go, but another waiter is first
local AFTER_BLOCK = 2000     -- ms after a block in which all who waited it out get going: the burst is doubled
local CLOCK_SLACK = 1000     -- ms that the server's clock may step back unnoticed
local SANE = 1e15            -- instants in ms have 13 digits; what is larger was made of a header's garbage

local state = {}
local flat = redis.call("HGETALL", STATE)
for i = 1, #flat, 2 do
  local number = tonumber(flat[i + 1])
  if not number then state[flat[i]] = flat[i + 1]
  elseif math.abs(number) < SANE then state[flat[i]] = number end  -- any other, no number included, is nothing
end
if state.seen and now < state.seen - CLOCK_SLACK then  -- all stored instants are wrong: start again, cold
  redis.call("DEL", unpack(KEYS))
  state = {}
end
-- An end further away than anything that is waited out was told by a header that lies: start cold, the log stays.
if math.max(state.pause or 0, state.window_end or 0, state.carried_until or 0) > now + longest + lease then
  for _, name in ipairs({ "pause", "window_end", "window_from", "left", "asked", "carried", "carried_from",
      "carried_until", "taken", "learned", "limit", "window" }) do
    state[name] = nil
    redis.call("HDEL", STATE, name)
  end
end

redis.call("ZREMRANGEBYSCORE", LOG, "-inf", now - window)
redis.call("ZREMRANGEBYSCORE", FOREIGN, "-inf", now - window)
-- Cal.com's headers may only lower our view; what is left unused shrinks with the limit.
local kept, told = window, math.min(limit, math.max(1, state.limit or limit))
local function unused(requests)
  return math.min(requests, math.max(requests * told / limit, math.floor(told / 10)))
end
safety, reserve = math.ceil(unused(safety)), math.floor(unused(reserve))
limit, window = told, math.min(window, state.window or window)
local spendable = math.max(1, limit - safety)
local even = window / spendable

-- What others with the same key spent in the last window, as far as answers told.
local others = 0
for _, member in ipairs(redis.call("ZRANGE", FOREIGN, 0, -1)) do
  others = others + tonumber(string.match(member, ":(%d+)$") or 0)
end
-- ... and what that comes to in a whole window, if they have been watched for less than one.
local watched = math.min(kept, math.max(kept / 6, now - (state.watch or now)))
local expected = others * window / watched

-- Requests of the window that this limiter found on its cold start; they leave as evenly as they probably came.
local carried = state.carried or 0
if carried > 0 and now > state.carried_from then
  carried = carried * math.max(0, state.carried_until - now) / (state.carried_until - state.carried_from)
end

local function cap_of(which) return which == INTERACTIVE and spendable or math.max(1, spendable - reserve) end

-- Lower lanes spread what others leave; a tenth of the pace is kept, so that one burst of theirs does not stop us.
local function pace_of(which)
  if which == INTERACTIVE then return even end
  return window / math.max(cap_of(which) - expected, cap_of(which) / 10)
end

-- How far ahead of an even pace a lane may be: its burst.
local function tolerance_of(which)
  local requests = burst - 1
  if which == INTERACTIVE then requests = requests + reserve end
  if now - (state.pause or -AFTER_BLOCK) < AFTER_BLOCK then requests = requests + burst end
  return requests * even
end

-- Nobody is further ahead of the pace than this; what is stored may be of a time when less was granted.
local furthest = (2 * burst + reserve) * even + 10 * window / cap_of(BACKFILL)
if (state.tat or 0) > now + furthest then
  state.tat = now + furthest
  redis.call("HSET", STATE, "tat", state.tat)
end

-- Milliseconds until a request of this lane may go, whoever is first in its queue; 0 is now.
local function wait_of(which)
  if (state.pause or 0) > now then return state.pause - now end
  if not state.learned and (state.probe or 0) > now then return math.min(COLD_POLL, state.probe - now) end
  local wait = 0

  local cap, own = cap_of(which), redis.call("ZCOUNT", LOG, string.format("(%.0f", now - window), "+inf")
  local excess = math.ceil(own + carried - cap + 1)
  if excess > 0 then
    local from = string.format("(%.0f", now - window)
    local leaving = redis.call("ZRANGEBYSCORE", LOG, from, "+inf", "WITHSCORES", "LIMIT", excess - 1, 1)
    wait = leaving[2] and (tonumber(leaving[2]) + window - now + 1) or window
    if carried > 0 then wait = math.min(wait, even) end  -- the carried ones leave meanwhile
  end

  wait = math.max(wait, math.max(state.tat or 0, now) - now - tolerance_of(which))

  if (state.window_end or 0) > now then
    local unseen = math.max(0, redis.call("ZCOUNT", LOG, string.format("(%.0f", state.asked), "+inf") - 1)
    -- Others go on: since the newest answer, and (lower lanes leave room for that too) until the window ends.
    local margin = 0
    if others > 0 then
      local from_then_to = which == INTERACTIVE and now or state.window_end
      margin = safety + expected * (from_then_to - state.asked) / window
      if which ~= INTERACTIVE then margin = margin + reserve end
    end
    if state.left - unseen <= margin then
      local over = state.window_end - now + 1
      if others > 0 and which ~= INTERACTIVE then over = math.min(over, even) end  -- the expected part shrinks
      wait = math.max(wait, over)
    end
  end
  return math.ceil(wait)
end

local function waiting(which) return redis.call("ZCARD", KEYS[4 + which]) end

local function since(which) return state["since" .. which] or OTHERS_BETWEEN end

-- The lane whose head is to go next; 0 when nobody waits.
local function next_lane()
  if waiting(INTERACTIVE) > 0 then return INTERACTIVE end
  for which = WARM, BACKFILL do
    if waiting(which) > 0 and since(which) >= OTHERS_BETWEEN then return which end
  end
  for which = INTERACTIVE + 1, LANES do
    if waiting(which) > 0 then return which end
  end
  return 0
end

-- How many grants come before the one at this place of this lane, about.
local function ahead_of(which, place)
  local higher = 0
  for other = INTERACTIVE + 1, which - 1 do higher = higher + waiting(other) end
  local first = which == INTERACTIVE and 0 or waiting(INTERACTIVE)
  if which >= WARM and higher > 0 then
    local share = math.max(0, OTHERS_BETWEEN - since(which)) + place * (OTHERS_BETWEEN + 1)
    return first + math.min(higher + place, share)
  end
  return first + higher + place
end

-- Milliseconds that those before this place take, about: the first of them, a burst, go at once.
local function queue_before(place)
  local at_once = math.floor((tolerance_of(lane) - math.max(0, (state.tat or 0) - now)) / even)
  return math.ceil(math.max(0, ahead_of(lane, place) - math.max(0, at_once)) * pace_of(lane))
end

local available = wait_of(lane)
if mode == "peek" then
  local queued = queue_before(waiting(lane))
  return {0, available + queued, available, 0}
end

-- Accounts of one key take turns within a lane: each has a count of its own, which begins where the lane is by now, so
-- that who comes late is neither behind all the waiters of another nor before those who waited. One account alone is
-- served in the order in which its waiters came.
local SERVED, OWN = "served" .. lane, "turn" .. lane .. ":" .. account
if turn == 0 then
  local newest = tonumber(redis.call("ZREVRANGE", KEYS[4 + lane], 0, 0, "WITHSCORES")[2] or 0)
  turn = math.max(state[SERVED] or 0, math.min(state[OWN] or 0, newest)) + 1
  redis.call("HSET", STATE, OWN, turn)
end
redis.call("ZADD", KEYS[4 + lane], turn, id)
redis.call("ZADD", LEASES, now + lease, id)
for _, gone in ipairs(redis.call("ZRANGEBYSCORE", LEASES, "-inf", now)) do
  for which = 1, LANES do redis.call("ZREM", KEYS[4 + which], gone) end
  redis.call("ZREM", LEASES, gone)
end

local place = redis.call("ZRANK", KEYS[4 + lane], id)
local granted = 0
local again = 0
if available == 0 and place == 0 and next_lane() == lane then
  granted = 1
  redis.call("ZREM", KEYS[4 + lane], id)
  redis.call("ZREM", LEASES, id)
  redis.call("ZADD", LOG, now + arrival, id)
  redis.call("HSET", STATE, SERVED, math.max(state[SERVED] or 0, turn))
  redis.call("HSET", STATE, "tat", math.max(state.tat or 0, now) + pace_of(lane))
  if not state.learned then redis.call("HSET", STATE, "probe", now + lease, "prober", id) end
  if lane ~= INTERACTIVE then
    for which = WARM, BACKFILL do
      local others_since = which == lane and 0 or math.min(OTHERS_BETWEEN, since(which) + 1)
      redis.call("HSET", STATE, "since" .. which, others_since)
    end
  end
else
  again = available + queue_before(place)
  if available == 0 then again = TURN_POLL * (1 + place) end
  again = math.max(1, math.min(again, lease / 2))
end
redis.call("HSET", STATE, "seen", now)
for i = 1, #KEYS do redis.call("PEXPIRE", KEYS[i], ttl + math.max(0, (state.pause or 0) - now)) end
return {granted, math.ceil(again), available, turn}
