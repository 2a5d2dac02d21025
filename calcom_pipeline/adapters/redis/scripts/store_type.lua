-- store_type.lua KEYS={generation, type} ARGV={generation seen before the read, value, ttl_s}: 1 stored, 0 changed meanwhile
if (redis.call("GET", KEYS[1]) or "0") ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[2], ARGV[2], "EX", ARGV[3])
return 1
