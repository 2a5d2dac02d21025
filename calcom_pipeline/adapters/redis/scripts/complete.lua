-- complete.lua KEYS={log, state, leases, foreign, ...}
-- ARGV={id, how answered|lost|unsent, status, limit (-1: no headers), left, reset_s, window_ms, burst, arrival_ms, block_ms,
--       limit of the settings, ttl_ms, longest_ms (what an answer told is waited out no longer)}: 1 learned, 0 nothing to learn
-- A request counts from the latest moment at which it can have arrived.
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, how, status = ARGV[1], ARGV[2], tonumber(ARGV[3])
local limit, left, reset = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]) * 1000
local window, burst, arrival, block = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local granted, ttl, longest = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local LOG, STATE, FOREIGN = KEYS[1], KEYS[2], KEYS[4]
local TOO_MANY, SECOND = 429, 1000
local SANE = 1e15          -- as in acquire.lua
local DISTRUST = 10        -- windows in which no length of one is believed after the last one led to a refusal
local kept = window
reset = math.min(reset, longest)

local state = {}
local flat = redis.call("HGETALL", STATE)
for i = 1, #flat, 2 do
  local number = tonumber(flat[i + 1])
  if not number then state[flat[i]] = flat[i + 1]
  elseif math.abs(number) < SANE then state[flat[i]] = number end
end
local function set(values)
  for name, value in pairs(values) do
    state[name] = value
    redis.call("HSET", STATE, name, value)
  end
  redis.call("PEXPIRE", STATE, ttl + math.max(0, (state.pause or 0) - now))
end

if state.prober == id then redis.call("HDEL", STATE, "probe", "prober") end
local score = tonumber(redis.call("ZSCORE", LOG, id) or "")
if how == "unsent" then
  redis.call("ZREM", LOG, id)
  return 0
end
-- Granted before a flush, or so long ago that it has left the log: nobody knows which window it speaks of.
local sent = score and score - arrival
if score then redis.call("ZADD", LOG, now, id) end
if how == "lost" then return 0 end

-- The answer was made between `sent` and now; its reset is rounded up to whole seconds (fact sheet 3).
if status == TOO_MANY then
  -- Refused again by what was sent after a pause: the next one is twice as long at least, from a second on.
  local again = not sent or sent >= (state.pause or 0)
  local strikes = (state.strikes or 0) + ((again or not state.strikes) and 1 or 0)
  local least = SECOND * 2 ^ math.min(strikes - 1, 20)
  local over = now + math.min(longest, math.max(least, limit >= 0 and reset or block))
  local earliest = (sent or now) + reset - SECOND
  if limit >= 0 and (state.pause or 0) > now and earliest <= state.pause then over = math.min(over, state.pause) end
  redis.call("HDEL", STATE, "learned", "window_end", "window_from", "left", "asked", "carried", "taken", "window")
  set({ pause = over, strikes = strikes })
  if state.window then set({ distrust = now + DISTRUST * kept }) end
  return 1
end
if state.strikes and sent and sent >= (state.pause or 0) then redis.call("HDEL", STATE, "strikes") end
if limit < 0 then
  -- A server without a limiter answers without headers; an error without them (fact sheet 1.3) tells nothing.
  if status >= 200 and status < 300 and not state.learned then set({ learned = now }) end
  return 0
end
if not sent then return 0 end

-- The request that opens a window, the only one counted in it, is told the length of the window (fact sheet 3). A key
-- with a window of its own is known by that; believed is only what grants no more than the settings do.
local opened = left == limit - 1
if opened and reset >= SECOND and reset < kept and limit * kept <= granted * reset and now >= (state.distrust or 0) then
  set({ window = reset })
elseif state.window and (limit ~= state.limit or reset > state.window or opened) then
  redis.call("HDEL", STATE, "window")
  state.window = nil
end
window = math.min(window, state.window or window)

local latest, earliest = now + reset, sent + reset - SECOND
local own_since = function(from) return redis.call("ZCOUNT", LOG, from, "+inf") end
if state.window_end and sent < state.window_end then
  if earliest > state.window_end or latest < state.window_from then return 0 end  -- it speaks of another window
  latest = math.min(latest, state.window_end)
  earliest = math.min(math.max(earliest, state.window_from), latest)
  set({ window_end = latest, window_from = earliest })
  if sent >= state.asked then set({ left = left, asked = sent, limit = limit }) end
else
  if not state.learned then
    -- Cold: what was spent before us in this window is carried. Only a block leaves the log as it was; else
    -- nobody knows what went out in the window before, and no burst may come on top of it.
    local even = window / math.min(limit, granted)
    local carried = math.max(0, limit - left - own_since(earliest - window))
    set({ carried = carried, carried_from = latest, carried_until = math.max(latest, now + window), taken = carried })
    set({ watch = now })
    if not state.pause then set({ tat = math.max(state.tat or 0, now + (burst - 1) * even) }) end
  else
    set({ taken = 0 })
    if now - state.learned > window then set({ watch = earliest - window }) end
  end
  set({ window_end = latest, window_from = earliest, left = left, asked = sent, limit = limit })
end
set({ learned = now })

local taken = limit - left - own_since(state.window_from - window)
if taken > state.taken then
  redis.call("ZADD", FOREIGN, now, id .. ":" .. (taken - state.taken))
  redis.call("PEXPIRE", FOREIGN, ttl)
  set({ taken = taken })
end
return 1
