// A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//
// The page ../README.md says what it does, in any language.
package main

import (
	"errors"
	"fmt"
	"strconv"

	"pattoo"
	"pattoo/decode"
	"pattoo/http"
	"pattoo/log"
	"pattoo/modbus"
	"pattoo/state"
)

func main() { pattoo.Run(collect) }

type settings struct {
	Device string `json:"device"`
	Unit   uint8  `json:"unit"`
	Pump   place  `json:"pump"`
	Meter  place  `json:"meter"`
	URL    string `json:"url"`
	Site   string `json:"site"`
	Note   string `json:"note,omitempty"`
}

// place is where a span begins.
type place struct {
	Table   modbus.Table `json:"table"`
	Address uint16       `json:"address"`
}

func collect() error {
	var settings settings
	if err := pattoo.Settings(&settings); err != nil {
		return err
	}
	for name, place := range map[string]place{"pump": settings.Pump, "meter": settings.Meter} {
		if place.Table != modbus.HoldingRegisters && place.Table != modbus.InputRegisters {
			return fmt.Errorf("%s: table: %s are not registers", name, place.Table)
		}
	}

	device := modbus.NewDevice(settings.Device).Unit(settings.Unit)
	readings := modbus.ReadMany(
		device.Span(settings.Pump.Table, settings.Pump.Address, 4),
		device.Span(settings.Meter.Table, settings.Meter.Address, 10),
	)
	weather := weather(settings)
	collections, err := count()
	if err != nil {
		return err
	}

	var measured []pattoo.Datapoint
	for _, part := range []struct {
		name    string
		reading modbus.Reading
		decode  func([]uint16) ([]pattoo.Datapoint, error)
	}{{"pump", readings[0], pump}, {"meter", readings[1], meter}} {
		points, err := part.decode(part.reading.Registers)
		if part.reading.Err != nil {
			points, err = failed(part.name, part.reading.Err), nil
		}
		if err != nil {
			return err
		}
		for _, point := range points {
			point = point.With("unit", settings.Unit).With("span", part.name).Note("note", settings.Note)
			measured = append(measured, point)
		}
	}
	for i, point := range weather {
		weather[i] = point.Note("note", settings.Note)
	}

	taken := 0
	for _, batch := range []struct {
		target string
		points []pattoo.Datapoint
	}{
		{settings.Device, measured},
		{settings.Site, weather},
		{"collector", []pattoo.Datapoint{pattoo.Point("collections", pattoo.Integer(collections))}},
	} {
		count, err := emit(batch.target, batch.points)
		if err != nil {
			return err
		}
		taken += count
	}
	log.Infof("%d datapoints", taken)
	return nil
}

// failed is what a span gives that could not be read.
func failed(name string, err error) []pattoo.Datapoint {
	var exception modbus.Exception
	if errors.As(err, &exception) {
		log.Warnf("%s: %v", name, exception)
		return []pattoo.Datapoint{pattoo.Point("exception", pattoo.Integer(exception))}
	}
	log.Warnf("%s: %v", name, err)
	return nil
}

func pump(registers []uint16) ([]pattoo.Datapoint, error) {
	read := decode.New(registers, decode.ABCD)
	level, levelErr := read.Uint16(0)
	temperature, temperatureErr := read.Int16(1)
	revolutions, revolutionsErr := read.Uint32(2)
	return []pattoo.Datapoint{
		pattoo.Point("level", pattoo.Integer(level)),
		pattoo.Point("temperature", pattoo.Scaled(float64(temperature)*0.1)),
		pattoo.Point("revolutions", pattoo.Counter32(revolutions)),
	}, errors.Join(levelErr, temperatureErr, revolutionsErr)
}

func meter(registers []uint16) ([]pattoo.Datapoint, error) {
	read := decode.New(registers, decode.ABCD)
	power, powerErr := read.InOrder(decode.CDAB).Float32(0)
	energy, energyErr := read.Uint64(2)
	serial, serialErr := read.Text(6, 4)
	return []pattoo.Datapoint{
		pattoo.Point("power", pattoo.Float(power)),
		pattoo.Point("energy", pattoo.Counter64(energy)),
		pattoo.Point("serial", pattoo.Text(serial)),
	}, errors.Join(powerErr, energyErr, serialErr)
}

// weather is what the site has to say, with a line for the operator if that is little.
func weather(settings settings) []pattoo.Datapoint {
	accept := http.Header{{Name: "accept", Value: "application/json"}}
	response, err := http.Request{URL: settings.URL, Header: accept}.Send()
	if err != nil {
		log.Warnf("%s: %v", settings.Site, err)
		return nil
	}
	if response.Status != 200 {
		log.Warnf("%s: status %d", settings.Site, response.Status)
		return []pattoo.Datapoint{pattoo.Point("status", pattoo.Integer(response.Status))}
	}
	// Pointers tell what is missing from what is 0.
	var document struct {
		Temperature *float64 `json:"temperature"`
		Humidity    *int64   `json:"humidity"`
		RainTotal   *uint64  `json:"rain_total"`
		Name        *string  `json:"name"`
	}
	err = response.JSON(&document)
	if err == nil && (document.Temperature == nil || document.Humidity == nil || document.RainTotal == nil || document.Name == nil) {
		err = errors.New("the document lacks some of temperature, humidity, rain_total and name")
	}
	if err != nil {
		log.Warnf("%s: %v", settings.Site, err)
		return nil
	}
	return []pattoo.Datapoint{
		pattoo.Point("outdoor_temperature", pattoo.Float(*document.Temperature)),
		pattoo.Point("humidity", pattoo.Integer(*document.Humidity)),
		pattoo.Point("rain_total", pattoo.Counter64(*document.RainTotal)),
		pattoo.Point("station_name", pattoo.Text(*document.Name)),
	}
}

// count is the number of this collection.
func count() (collections int64, err error) {
	if before, found := state.GetString("collections"); found {
		if collections, err = strconv.ParseInt(before, 10, 64); err != nil {
			return 0, fmt.Errorf("what was kept of `collections`: %w", err)
		}
	}
	collections++
	return collections, state.SetString("collections", strconv.FormatInt(collections, 10))
}

// emit emits datapoints of a target as of now; it returns how many were taken.
func emit(target string, points []pattoo.Datapoint) (int, error) {
	for i, point := range points {
		points[i] = point.At(pattoo.CollectionTime())
	}
	refused, err := pattoo.Target(target).EmitAll(points...)
	for _, rejection := range refused {
		log.Warnf("%s: %v", target, rejection)
	}
	return len(points) - len(refused), err
}
