module allocating

go 1.24

require pattoo v0.1.0

replace pattoo => ../../../guest-sdk/go
