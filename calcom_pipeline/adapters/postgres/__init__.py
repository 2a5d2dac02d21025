"""PostgreSQL: every statement, the mirrors over them, the migrations."""
