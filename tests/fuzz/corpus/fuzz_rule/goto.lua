-- expect: budget_instructions
::a:: goto a
