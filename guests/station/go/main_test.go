package main

import (
	"testing"

	"pattoo"
	"pattoo/http"
	"pattoo/modbus"
	"pattoo/pattootest"
)

const url = "http://site-a.example/weather.json"

// host has a device and a site at which all is well.
func host() *pattootest.Host {
	host := pattootest.New()
	host.Settings = map[string]any{
		"device": "plc1", "unit": 7, "site": "SITE_A", "url": url, "note": "by the river",
		"pump":  map[string]any{"table": "holding-registers", "address": 10},
		"meter": map[string]any{"table": "input-registers", "address": 100},
	}
	host.Device("plc1").Unit(7).
		Holding(10, 1234, 0xFFF6, 0x0001, 0x0002).
		Input(100, 0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0)
	return host
}

func weatherIs(host *pattootest.Host, answer pattootest.Answer) *pattootest.Host {
	host.Site(url, answer)
	return host
}

func goodWeather() pattootest.Answer {
	return pattootest.JSON(map[string]any{"temperature": -3.25, "humidity": 81, "rain_total": 5000, "name": "Old Mill"})
}

func TestEverythingIsEmittedWithItsTypeAndMetadata(t *testing.T) {
	collection := weatherIs(host(), goodWeather()).Collect(collect)
	if collection.Err != nil {
		t.Fatal(collection.Err)
	}
	wanted := []struct {
		target pattoo.Target
		key    string
		value  pattoo.Value
	}{
		{"plc1", "level", pattoo.Integer(1234)},
		{"plc1", "temperature", pattoo.Scaled(-1.0)},
		{"plc1", "revolutions", pattoo.Counter32(65538)},
		{"plc1", "power", pattoo.Float(float32(123.456))},
		{"plc1", "energy", pattoo.Counter64(65536)},
		{"plc1", "serial", pattoo.Text("PMP-7")},
		{"SITE_A", "outdoor_temperature", pattoo.Float(-3.25)},
		{"SITE_A", "humidity", pattoo.Integer(81)},
		{"SITE_A", "rain_total", pattoo.Counter64(5000)},
		{"SITE_A", "station_name", pattoo.Text("Old Mill")},
		{"collector", "collections", pattoo.Integer(1)},
	}
	if len(collection.Emitted) != len(wanted) {
		t.Fatalf("%+v", collection.Emitted)
	}
	for i, wanted := range wanted {
		emitted := collection.Emitted[i]
		if emitted.Target != wanted.target || emitted.Key != wanted.key || emitted.Value != wanted.value {
			t.Errorf("%+v instead of %+v", emitted, wanted)
		}
	}
	metadata := []pattoo.Metadatum{{Key: "unit", Value: "7", Identifying: true}, {Key: "span", Value: "pump", Identifying: true},
		{Key: "note", Value: "by the river"}}
	for i, metadatum := range collection.Emitted[0].Metadata {
		if metadatum != metadata[i] {
			t.Errorf("%+v", metadatum)
		}
	}
	if last := collection.Logs[len(collection.Logs)-1]; last.Message != "11 datapoints" {
		t.Error(last)
	}
}

func TestAnExceptionAndA404ReplaceTheirPartsAlone(t *testing.T) {
	host := weatherIs(host(), pattootest.Status(404, ""))
	host.Device("plc1").Unit(7).Exception(modbus.HoldingRegisters, 12, modbus.IllegalDataAddress)
	collection := host.Collect(collect)
	if collection.Err != nil || len(collection.Emitted) != 6 {
		t.Fatalf("%v: %+v", collection.Err, collection.Emitted)
	}
	if value := collection.Value("plc1", "exception"); value != pattoo.Integer(2) {
		t.Error(value)
	}
	if value := collection.Value("SITE_A", "status"); value != pattoo.Integer(404) {
		t.Error(value)
	}
	if collection.Logs[1].Message != "pump: exception 2 (illegal data address)" {
		t.Error(collection.Logs)
	}
}

func TestWhatFailsWithoutAnAnswerCostsOnlyItself(t *testing.T) {
	for _, answer := range []pattootest.Answer{
		pattootest.Fail(http.ErrTimeout),
		pattootest.Status(200, "<html>"),
		pattootest.JSON(map[string]any{"temperature": 1, "humidity": 5, "name": "x"}),
	} {
		host := weatherIs(host(), answer)
		host.Device("plc1").Unit(7).Fail(modbus.ErrTimeout)
		collection := host.Collect(collect)
		if collection.Err != nil || len(collection.Emitted) != 1 || len(collection.Logs) != 4 {
			t.Errorf("%v: %+v %v", collection.Err, collection.Emitted, collection.Logs)
		}
	}
}

func TestCollectionsAreCountedFromOneToTheNext(t *testing.T) {
	host := weatherIs(host(), goodWeather())
	host.Collect(collect)
	if value := host.Collect(collect).Value("collector", "collections"); value != pattoo.Integer(2) {
		t.Error(value)
	}
}
