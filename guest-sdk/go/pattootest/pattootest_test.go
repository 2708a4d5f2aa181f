//go:build !wasip1

package pattootest_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pattoo"
	"pattoo/http"
	"pattoo/log"
	"pattoo/modbus"
	"pattoo/pattootest"
	"pattoo/state"
)

// once makes a collection on a host that granted nothing.
func once(collect func() error) *pattootest.Collection { return pattootest.New().Collect(collect) }

func TestADatapointIsTakenAsPattooHasIt(t *testing.T) {
	t.Parallel()
	collection := once(func() error {
		point := pattoo.Point(" Level ", pattoo.Integer(uint16(42))).With("Unit", 7).Note("note", " x ").With("unit", 8)
		return pattoo.Target("plc1").EmitPoint(point.At(pattoo.CollectionTime()))
	})
	if collection.Err != nil {
		t.Fatal(collection.Err)
	}
	emitted := collection.Emitted[0]
	metadata := []pattoo.Metadatum{{Key: "unit", Value: "7", Identifying: true}, {Key: "note", Value: "x"}}
	if emitted.Target != "plc1" || emitted.Key != "level" || emitted.Value != pattoo.Integer(42) || len(emitted.Metadata) != 2 ||
		emitted.Metadata[0] != metadata[0] || emitted.Metadata[1] != metadata[1] || emitted.Time.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("%+v", emitted)
	}
}

func TestWhatPattooWouldRefuseIsRefusedForItsReason(t *testing.T) {
	t.Parallel()
	good := pattoo.Integer(1)
	collection := once(func() error {
		_, err := pattoo.Target("a").EmitAll(
			pattoo.Point("", good),
			pattoo.Point("my_pattoo", good),
			pattoo.Point(strings.Repeat("k", 508), good),
			pattoo.Point("nan", pattoo.Float(math.NaN())),
			pattoo.Point("large", pattoo.Scaled(-1e30)),
			pattoo.Point("meta", good).With("pattoo_x", 1),
			pattoo.Point("old", good).At(time.UnixMilli(1)),
			pattoo.Point("late", good).At(pattoo.CollectionTime().Add(6*time.Minute)),
			pattoo.Point("key", good),
			pattoo.Point("KEY", pattoo.Scaled(2)),
			pattoo.Point("key", pattoo.Float(2)),
		)
		return err
	})
	wanted := []pattoo.ReasonKind{pattoo.ReasonKey, pattoo.ReasonKey, pattoo.ReasonKey, pattoo.ReasonValue, pattoo.ReasonValue,
		pattoo.ReasonMetadata, pattoo.ReasonTimestamp, pattoo.ReasonTimestamp, pattoo.ReasonDuplicate}
	if collection.Err != nil || len(collection.Rejected) != len(wanted) || len(collection.Emitted) != 2 {
		t.Fatalf("%+v", collection)
	}
	for i, reason := range wanted {
		if collection.Rejected[i].Reason != reason {
			t.Errorf("%+v", collection.Rejected[i])
		}
	}
}

func TestARefusalIsAnErrorThatSaysWhich(t *testing.T) {
	t.Parallel()
	collection := once(func() error {
		err := pattoo.Target("a\nb").Emit("key", pattoo.Integer(1))
		if !errors.Is(err, pattoo.ErrTarget) {
			t.Error(err)
		}
		return pattoo.Target("a").Emit("", pattoo.Integer(1))
	})
	if text := `target "a": datapoint "" was refused: a key is not empty`; !errors.Is(collection.Err, pattoo.ErrRejected) ||
		collection.Err.Error() != text {
		t.Error(collection.Err)
	}
}

func TestDevicesAnswerWhatTheyWereTold(t *testing.T) {
	t.Parallel()
	host := pattootest.New()
	host.Device("plc1").Unit(1).Holding(0, 1, 2, 3).Coils(16, true, false).
		Unit(7).Input(0, 9).Exception(modbus.InputRegisters, 1, modbus.ServerDeviceFailure).
		Unit(8).Fail(modbus.ErrTimeout)
	plc := modbus.NewDevice("plc1")
	collection := host.Collect(func() error {
		registers, err := plc.Holding(1, 2)
		if err != nil || registers[0] != 2 || registers[1] != 3 {
			t.Error(registers, err)
		}
		if bits, err := plc.Coils(16, 2); err != nil || !bits[0] || bits[1] {
			t.Error(bits, err)
		}
		readings := modbus.ReadMany(plc.Span(modbus.HoldingRegisters, 2, 2), plc.Unit(7).Span(modbus.InputRegisters, 0, 2),
			plc.Unit(8).Span(modbus.Coils, 0, 1), plc.Unit(9).Span(modbus.Coils, 0, 1),
			modbus.NewDevice("plc2").Span(modbus.Coils, 0, 1))
		for i, wanted := range []error{modbus.IllegalDataAddress, modbus.ServerDeviceFailure, modbus.ErrTimeout, modbus.ErrDenied,
			modbus.ErrUnknownDevice} {
			if !errors.Is(readings[i].Err, wanted) {
				t.Errorf("%v: %v", readings[i].Span, readings[i].Err)
			}
		}
		return readings[1].Err
	})
	if text := "plc1, unit 7, 2 input registers from address 0: the device answered exception 4 (server device failure)"; collection.Err == nil ||
		collection.Err.Error() != text {
		t.Error(collection.Err)
	}
	if len(collection.Reads) != 7 || collection.Reads[3].Address != 0 {
		t.Error(collection.Reads)
	}
}

func TestSitesAnswerWhatTheyWereTold(t *testing.T) {
	t.Parallel()
	host := pattootest.New()
	host.Site("http://site-a.example/a.json", pattootest.JSON(map[string]any{"a": 1.5}))
	host.Site("http://site-b.example/b", pattootest.Fail(http.ErrTimeout))
	collection := host.Collect(func() error {
		var document struct{ A float64 }
		response, err := http.Get("http://SITE-A.example:80/a.json")
		if err != nil || response.Status != 404 {
			t.Error(response, err)
		}
		response, err = http.Get("http://site-a.example/a.json")
		if err != nil || response.JSON(&document) != nil || document.A != 1.5 || response.Header.Get("Content-Type") == "" {
			t.Error(response, err)
		}
		response.Body = append([]byte("\uFEFF"), response.Body...)
		if document.A = 0; response.JSON(&document) != nil || document.A != 1.5 {
			t.Error("a byte order mark is not skipped")
		}
		results := http.FetchAll(http.Request{URL: "http://site-b.example/b"}, http.Request{URL: "http://site-c.example/"}, http.Request{URL: "x"})
		for i, wanted := range []error{http.ErrTimeout, http.ErrDenied, http.ErrInvalid} {
			if !errors.Is(results[i].Err, wanted) {
				t.Error(results[i].Err)
			}
		}
		response, err = http.Request{URL: "http://site-a.example/none", Header: http.Header{{Name: "accept", Value: "*/*"}}}.Send()
		if err != nil {
			return err
		}
		return response.OK()
	})
	var status http.StatusError
	if !errors.As(collection.Err, &status) || status != 404 || collection.Err.Error() != "GET http://site-a.example/none: the site answered 404" {
		t.Error(collection.Err)
	}
	if len(collection.Requests) != 6 || collection.Requests[5].Header.Get("Accept") != "*/*" {
		t.Error(collection.Requests)
	}
}

func TestStateIsKeptOnlyAfterAGoodEnd(t *testing.T) {
	t.Parallel()
	host := pattootest.New()
	var ending error
	collect := func() error {
		before, _ := state.GetString("n")
		if err := state.SetString("n", before+"x"); err != nil {
			return err
		}
		if err := state.Set("", nil); !errors.Is(err, state.ErrInvalid) {
			t.Error(err)
		}
		log.Infof("%s", before)
		return ending
	}
	host.Collect(collect)
	ending = errors.New("no")
	host.Collect(collect)
	if again := host.Collect(collect); again.Logs[0] != (pattootest.LogLine{Level: pattootest.Info, Message: "x"}) {
		t.Error(again.Logs)
	}
	if string(host.State["n"]) != "x" {
		t.Error(host.State)
	}
}

func TestSettingsThatDoNotFitNameTheKey(t *testing.T) {
	t.Parallel()
	for settings, wanted := range map[string]string{
		`{"device": "plc1", "span": {"table": "input-registers", "address": 7}}`: "",
		`{"device": "plc1", "span": {"table": "input-registers"}}`:               `the settings do not fit: span: missing setting "address"`,
		`{"span": {"table": "coils", "address": 1}}`:                             `the settings do not fit: missing setting "device"`,
		`{"device": "plc1", "sapn": 1}`:                                          `the settings do not fit: unknown field "sapn"`,
		`{"device": 7}`:                                                          `the settings do not fit: cannot unmarshal number into Go struct field .device of type string`,
	} {
		host := pattootest.New()
		host.Settings = rawJSON(settings)
		collection := host.Collect(func() error {
			var settings struct {
				Device string `json:"device"`
				Span   struct {
					Table   modbus.Table `json:"table"`
					Address uint16       `json:"address"`
				} `json:"span"`
				Note string `json:"note,omitempty"`
			}
			return pattoo.StrictSettings(&settings)
		})
		if text := message(collection.Err); text != wanted {
			t.Errorf("%s: %s", settings, text)
		}
	}
}

func TestASettingThatNobodyReadsIsLeftAloneUnlessThatIsWanted(t *testing.T) {
	t.Parallel()
	host := pattootest.New()
	host.Settings = map[string]any{"a": 1, "b": 2}
	host.Collect(func() error {
		var settings struct{ A int }
		if err := pattoo.Settings(&settings); err != nil || settings.A != 1 {
			t.Error(settings, err)
		}
		if err := pattoo.StrictSettings(&settings); err == nil || err.Error() != `the settings do not fit: unknown field "b"` {
			t.Error(err)
		}
		return nil
	})
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOutsideOfACollectionThereIsNoHost(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("there is one")
		}
	}()
	pattoo.Program()
}
