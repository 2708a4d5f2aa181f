module pattoo

go 1.24
