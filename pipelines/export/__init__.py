"""Export: a corpus in the forms that other trainers read, one module of `formats` for each of them."""
