-- expect: rule_error
error("a\n{\"level\":\"forged\"}\0b", 0)
