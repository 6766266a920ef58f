-- .luacheckrc: what luacheck knows of the globals that the server gives to scripts.
std = "luajit"
max_line_length = 120
read_globals = {
  "json", "decimal", "money", "rules", "ident", "clock", "log", "process",
  "wait_all", "sleep", "null",
}
files["scripts/types"] = { ignore = { "111", "121", "122", "131", "211", "212", "241", "311" } }
files["scripts/cli"] = { read_globals = { "arg" } }
files["tests/lib"] = { read_globals = { "arg" } }
files["tenants"] = { std = "min", read_globals = { "money", "log", "bit" } }
files["examples/bookshop"] = { std = "min", read_globals = { "money", "log", "bit" } }
