-- store_days.lua KEYS={generation, index, day...} ARGV={generation seen before the request, index ttl_s, (value, ttl_ms)...}: days stored
-- A fetch that began before an invalidation must not be stored after it. An index that is no set is made anew.
local kind = redis.call("TYPE", KEYS[1]).ok
if kind ~= "string" and kind ~= "none" then return 0 end
if (redis.call("GET", KEYS[1]) or "0") ~= ARGV[1] then return 0 end
kind = redis.call("TYPE", KEYS[2]).ok
if kind ~= "set" and kind ~= "none" then
  redis.call("DEL", KEYS[2])
  local pattern = string.gsub(KEYS[1], "slots:generation:(%d+)$", "slots:day:%1:*")
  for _, key in ipairs(redis.call("KEYS", pattern)) do redis.call("SADD", KEYS[2], key) end
end
for i = 3, #KEYS do
  local at = 3 + (i - 3) * 2
  redis.call("SET", KEYS[i], ARGV[at], "PX", ARGV[at + 1])
  redis.call("SADD", KEYS[2], KEYS[i])
end
redis.call("EXPIRE", KEYS[2], ARGV[2])
return #KEYS - 2
