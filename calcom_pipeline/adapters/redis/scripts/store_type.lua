-- store_type.lua KEYS={generation, type, epoch} ARGV={generation seen before the read, value, ttl_s}: 1 stored, 0 changed meanwhile
if standing(KEYS[1], KEYS[3]) ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[2], ARGV[2], "EX", ARGV[3])
return 1
