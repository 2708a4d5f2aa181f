package main

import (
	"errors"
	"testing"

	"pattoo"
	"pattoo/modbus"
	"pattoo/pattootest"
)

func TestCollectionsAreCountedFromOneToTheNext(t *testing.T) {
	host := pattootest.New()
	for _, wanted := range []int{1, 2} {
		collection := host.Collect(collect)
		if value := collection.Value("{{name}}", "collections"); value != pattoo.Integer(wanted) {
			t.Errorf("%v, %v", value, collection.Err)
		}
	}
}

func TestTheTemperatureOfTheDeviceIsEmitted(t *testing.T) {
	host := pattootest.New()
	host.Settings = map[string]any{"device": "plc1"}
	host.Device("plc1").Holding(0, 0x41AC, 0x0000)

	collection := host.Collect(collect)
	if value := collection.Value("plc1", "temperature"); value != pattoo.Float(21.5) {
		t.Errorf("%v, %v", value, collection.Err)
	}
}

func TestADeviceThatIsSilentIsAnErrorForTheOperator(t *testing.T) {
	host := pattootest.New()
	host.Settings = map[string]any{"device": "plc1"}
	host.Device("plc1").Fail(modbus.ErrTimeout)

	if collection := host.Collect(collect); !errors.Is(collection.Err, modbus.ErrTimeout) {
		t.Error(collection.Err)
	}
}
