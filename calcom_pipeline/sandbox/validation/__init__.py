"""Cal.com's input validation: the engine (class-validator's behaviour) and the rules of each body and query."""
