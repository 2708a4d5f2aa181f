// Package pattoo is what a collector in Go is written with: a program that measures something and emits what it found.
//
//	package main
//
//	import (
//		"pattoo"
//		"pattoo/modbus"
//	)
//
//	func main() { pattoo.Run(collect) }
//
//	func collect() error {
//		registers, err := modbus.NewDevice("plc1").Holding(0, 1)
//		if err != nil {
//			return err
//		}
//		return pattoo.Target("plc1").Emit("level", pattoo.Integer(registers[0]))
//	}
//
// It is built with the Go tools alone, and run by pattoo-wasm:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o collector.wasm .
//	pattoo-wasm run collector.wasm --modbus plc1=tcp://192.0.2.10:502
//
// Nothing lives on from one collection to the next: package variables start afresh each time. What must survive goes into
// [pattoo/state]. The package [pattoo/pattootest] has a host for plain go test.
package pattoo

import (
	"time"

	"pattoo/internal/host"
)

// Program is the name under which the datapoints reach pattoo, such as LAVA_SCRIPT.
func Program() string { return host.Program() }

// PollingInterval is the time between the starts of two collections, a whole number of seconds.
func PollingInterval() time.Duration { return time.Duration(host.PollingInterval()) * time.Second }

// CollectionTime is when this collection began. It does not change during a collection: give it to every datapoint that
// should have the same timestamp.
func CollectionTime() time.Time { return time.UnixMilli(int64(host.CollectionTime())) }

// Now is the host's wall clock, in steps of a millisecond. It may jump when the operator sets it. For the datapoints of one
// collection prefer [CollectionTime].
func Now() time.Time { return time.UnixMilli(int64(host.Now())) }

// Elapsed is the time since this collection began. It never goes back.
func Elapsed() time.Duration { return time.Duration(host.Monotonic()) }
