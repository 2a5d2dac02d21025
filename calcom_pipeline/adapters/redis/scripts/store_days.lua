-- store_days.lua KEYS={generation, index, epoch, day...} ARGV={generation seen before the request, index ttl_s, (value, ttl_ms)...}: days stored
-- A fetch that began before an invalidation must not be stored after it. An index that is no set is made anew. A day with a
-- held start (note_hold.lua) lives no longer than the hold.
if standing(KEYS[1], KEYS[3]) ~= ARGV[1] then return 0 end
local kind = redis.call("TYPE", KEYS[2]).ok
if kind ~= "set" and kind ~= "none" then
  redis.call("DEL", KEYS[2])
  local pattern = string.gsub(KEYS[1], "slots:generation:(%d+)$", "slots:day:%1:*")
  for _, key in ipairs(redis.call("KEYS", pattern)) do redis.call("SADD", KEYS[2], key) end
end
local held, now_ms = {}, 0
local holds = string.gsub(KEYS[1], "slots:generation:(%d+)$", "slots:held:%1")
if redis.call("TYPE", holds).ok == "zset" then
  local now = redis.call("TIME")
  now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  held = redis.call("ZRANGEBYSCORE", holds, "(" .. string.format("%.0f", now_ms), "+inf")
end
for i = 4, #KEYS do
  local at = 3 + (i - 4) * 2
  redis.call("SET", KEYS[i], ARGV[at], "PX", ARGV[at + 1])
  for _, hold in ipairs(held) do -- the one that ends first comes first
    local ends, ending = string.match(hold, "^(%d+)(.*)$")
    if ending == "" or string.sub(KEYS[i], -string.len(ending)) == ending then
      if tonumber(ends) < now_ms + tonumber(ARGV[at + 1]) then redis.call("PEXPIREAT", KEYS[i], ends) end
      break
    end
  end
  redis.call("SADD", KEYS[2], KEYS[i])
end
redis.call("EXPIRE", KEYS[2], ARGV[2])
return #KEYS - 3
