// {{name}} counts its collections, and reads the temperature of a Modbus device if one is set.
package main

import (
	"fmt"
	"strconv"

	"pattoo"
	"pattoo/decode"
	"pattoo/log"
	"pattoo/modbus"
	"pattoo/state"
)

func main() { pattoo.Run(collect) }

// settings are the settings of the operator.
type settings struct {
	// Device is the name under which a device was granted.
	Device string `json:"device,omitempty"`
}

func collect() error {
	var settings settings
	if err := pattoo.StrictSettings(&settings); err != nil {
		return err
	}

	collections, err := count()
	if err != nil {
		return err
	}
	if err := pattoo.Target("{{name}}").Emit("collections", pattoo.Integer(collections)); err != nil {
		return err
	}

	if settings.Device == "" {
		log.Infof("no device is set, so none is read: see README.md")
		return nil
	}
	// Registers 0 and 1 hold a float of 32 bits, as the manual of such a device says.
	registers, err := modbus.NewDevice(settings.Device).Holding(0, 2)
	if err != nil {
		return err
	}
	celsius, err := decode.New(registers, decode.ABCD).Float32(0)
	if err != nil {
		return err
	}
	temperature := pattoo.Point("temperature", pattoo.Float(celsius)).With("sensor", "indoor").Note("unit", "Cel")
	return pattoo.Target(settings.Device).EmitPoint(temperature)
}

// count is the number of this collection. Variables start with their initial values each time; state is stored.
func count() (int, error) {
	collections := 0
	if before, found := state.GetString("collections"); found {
		var err error
		if collections, err = strconv.Atoi(before); err != nil {
			return 0, fmt.Errorf("what was kept of `collections`: %w", err)
		}
	}
	collections++
	return collections, state.SetString("collections", strconv.Itoa(collections))
}
