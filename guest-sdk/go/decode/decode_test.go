package decode_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"pattoo/decode"
)

type vector struct {
	Type      string
	Order     decode.Order
	Registers []uint16
	Place     int
	First     int
	Last      int
	Count     int
	Scale     *float64
	Offset    float64
	Expected  string
	Error     string
}

// The file lies beside the folder of this module, where the SDKs of all languages are tested against it.
func vectors(t *testing.T) []vector {
	text, err := os.ReadFile("../../vectors/decode.json")
	if err != nil {
		t.Skip("the vectors are in the repository of pattoo-wasm only: ", err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// value is what this package makes of the registers, spelled as in the file, and the same as a number.
func (v vector) value() (spelled string, number float64, err error) {
	registers := decode.New(v.Registers, v.Order)
	float := func(value float64, err error) (string, float64, error) { return spell(value), value, err }
	integer := func(value any, err error) (string, float64, error) {
		text := fmt.Sprint(value)
		number, _ := strconv.ParseFloat(text, 64)
		return text, number, err
	}
	switch v.Type {
	case "u16":
		return integer(registers.Uint16(v.Place))
	case "i16":
		return integer(registers.Int16(v.Place))
	case "u32":
		return integer(registers.Uint32(v.Place))
	case "i32":
		return integer(registers.Int32(v.Place))
	case "u64":
		return integer(registers.Uint64(v.Place))
	case "i64":
		return integer(registers.Int64(v.Place))
	case "f16":
		value, err := registers.Float16(v.Place)
		return float(float64(value), err)
	case "f32":
		value, err := registers.Float32(v.Place)
		return float(float64(value), err)
	case "f64":
		return float(registers.Float64(v.Place))
	case "bcd16":
		return integer(registers.BCD16(v.Place))
	case "bcd32":
		return integer(registers.BCD32(v.Place))
	case "bcd64":
		return integer(registers.BCD64(v.Place))
	case "field":
		return integer(registers.Field(v.Place, v.First, v.Last))
	case "text":
		text, err := registers.Text(v.Place, v.Count)
		return text, 0, err
	case "bits":
		bits, err := registers.Bits(v.Place)
		for _, bit := range bits {
			digit := "0"
			if bit {
				digit = "1"
			}
			spelled = digit + spelled
		}
		return spelled, 0, err
	default:
		return "", 0, fmt.Errorf("no such type: %s", v.Type)
	}
}

func spell(value float64) string {
	switch {
	case math.IsNaN(value):
		return "nan"
	case math.IsInf(value, 0):
		return map[bool]string{true: "inf", false: "-inf"}[value > 0]
	default:
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
}

func TestEveryVectorIsDecodedAsTheFileSays(t *testing.T) {
	decoded := 0
	for _, v := range vectors(t) {
		spelled, number, err := v.value()
		var outOfRange *decode.RangeError
		var digit *decode.DigitError
		switch {
		case v.Error == "range" && errors.As(err, &outOfRange), v.Error == "digit" && errors.As(err, &digit):
			decoded++
			continue
		case v.Error != "" || err != nil:
			t.Errorf("%+v: %v", v, err)
			continue
		}
		if v.Scale != nil {
			number = decode.Linear{Scale: *v.Scale, Offset: v.Offset}.Apply(number)
			spelled = spell(number)
		}
		expected := v.Expected
		if wanted, err := strconv.ParseFloat(expected, 64); err == nil && (v.Type[0] == 'f' && v.Type != "field" || v.Scale != nil) {
			expected = spell(wanted)
		}
		if spelled != expected {
			t.Errorf("%+v: %s", v, spelled)
		}
		decoded++
	}
	t.Logf("%d vectors", decoded)
}

func TestAPlaceThatIsNegativeIsOutOfRange(t *testing.T) {
	registers := decode.New([]uint16{1, 2}, decode.ABCD)
	if _, err := registers.Uint16(-1); err == nil {
		t.Error("it is taken")
	}
	if _, err := registers.Text(1, -1); err == nil {
		t.Error("it is taken")
	}
	_, err := registers.Float64(1)
	if err == nil || err.Error() != "a value of 4 registers at place 1 does not fit into the 2 that were read" {
		t.Error(err)
	}
}

func TestOrdersAreReadByTheirNames(t *testing.T) {
	var orders []decode.Order
	if err := json.Unmarshal([]byte(`["CDAB", "HGFEDCBA"]`), &orders); err != nil || orders[0] != decode.CDAB || orders[1] != decode.DCBA {
		t.Error(orders, err)
	}
	if err := json.Unmarshal([]byte(`["ACBD"]`), &orders); err == nil {
		t.Error(orders)
	}
}
