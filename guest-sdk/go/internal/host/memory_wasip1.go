package host

import (
	"encoding/binary"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

var (
	// calling is held during a call of the host, so that no other goroutine turns the collector back on while one waits for it
	// to end.
	calling sync.Mutex
	// held is what the host asked room for during the call: referred to from Go by nothing else until the call is over.
	held [][]uint64
)

// guarded makes a call in which the host may ask for memory.
//
// When it does, it calls realloc below, and until that returns every call out of the module is a trap. A garbage collection
// makes such calls (it asks for the time), and any allocation may begin one or help with one that is under way. So none is under way
// during the call, and none begins. It costs about a microsecond.
func guarded(call func()) {
	calling.Lock()
	defer calling.Unlock()
	limit := debug.SetMemoryLimit(math.MaxInt64)
	percent := debug.SetGCPercent(-1)
	call()
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
	held = nil
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	// Nothing of the contract is aligned to more than 8 bytes.
	block := make([]uint64, max(1, (size+7)/8))
	held = append(held, block)
	start := unsafe.Pointer(unsafe.SliceData(block))
	if old != nil {
		copy(unsafe.Slice((*byte)(start), size), unsafe.Slice((*byte)(old), min(oldSize, size)))
	}
	return start
}

// area is where the host writes a result. It is on the heap: a stack may move while the host calls realloc.
type area struct {
	bytes [32]byte
}

//go:noinline
func newArea() *area { return new(area) }

func (result *area) at() unsafe.Pointer { return unsafe.Pointer(result) }
func (result *area) view() view         { return view(result.bytes[:]) }

// view is a record, variant or list as it lies in memory.
type view []byte

func (v view) u8(offset int) uint8   { return v[offset] }
func (v view) u16(offset int) uint16 { return binary.LittleEndian.Uint16(v[offset:]) }
func (v view) u32(offset int) uint32 { return binary.LittleEndian.Uint32(v[offset:]) }
func (v view) u64(offset int) uint64 { return binary.LittleEndian.Uint64(v[offset:]) }

// text is a string.
func (v view) text(offset int) string {
	octets := v.octets(offset)
	return unsafe.String(unsafe.SliceData(octets), len(octets))
}

func (v view) octets(offset int) []byte      { return items[byte](v, offset) }
func (v view) registers(offset int) []uint16 { return items[uint16](v, offset) }
func (v view) bits(offset int) []bool        { return items[bool](v, offset) }

// items is a list of plain values. They stay where the host wrote them: in a block of our heap, which lives on as long as
// somebody refers to it.
func items[T byte | uint16 | bool](v view, offset int) []T {
	count := v.u32(offset + 4)
	if count == 0 {
		return nil
	}
	return unsafe.Slice((*T)(pointer(v.u32(offset))), count)
}

// failure is a variant whose payload, if there is one, is a text.
func (v view) failure(offset, payload int, hasText bool) *Failure {
	failure := &Failure{Case: v.u8(offset)}
	if hasText {
		failure.Text = v.text(payload)
	}
	return failure
}

// list reads a list of items that have this size.
func list[T any](v view, offset, size int, read func(item view) T) []T {
	count := int(v.u32(offset + 4))
	if count == 0 {
		return nil
	}
	all := view(unsafe.Slice((*byte)(pointer(v.u32(offset))), count*size))
	items := make([]T, count)
	for i := range items {
		items[i] = read(all[i*size : (i+1)*size])
	}
	return items
}

// pointer is the address as a pointer. What it points to is held by a reference that the garbage collector knows.
func pointer(address uint32) unsafe.Pointer {
	wide := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&wide))
}

// layout is an argument that is made up of several parts: records first, and behind them what they point to. Go's pointers have
// 64 bits, so its own structures do not look like the host's.
type layout struct {
	bytes []byte
	// Where in bytes an offset into it stands that has to become an address.
	offsets []int
}

// room makes place for items of a size, aligned to 8.
func (l *layout) room(size int) int {
	start := (len(l.bytes) + 7) &^ 7
	l.bytes = append(l.bytes, make([]byte, start-len(l.bytes)+size)...)
	return start
}

func (l *layout) u8(at int, value uint8)   { l.bytes[at] = value }
func (l *layout) u16(at int, value uint16) { binary.LittleEndian.PutUint16(l.bytes[at:], value) }
func (l *layout) u32(at int, value uint32) { binary.LittleEndian.PutUint32(l.bytes[at:], value) }
func (l *layout) u64(at int, value uint64) { binary.LittleEndian.PutUint64(l.bytes[at:], value) }

// refer writes address and count of a list that lies at target.
func (l *layout) refer(at, target, count int) {
	l.u32(at, uint32(target))
	l.u32(at+4, uint32(count))
	l.offsets = append(l.offsets, at)
}

// text writes a string: its address and length at a place, its bytes at the end.
func (l *layout) text(at int, text string) {
	l.refer(at, len(l.bytes), len(text))
	l.bytes = append(l.bytes, text...)
}

// octets writes a list of bytes.
func (l *layout) octets(at int, octets []byte) {
	l.refer(at, len(l.bytes), len(octets))
	l.bytes = append(l.bytes, octets...)
}

func (l *layout) flag(at int, flag bool) {
	if flag {
		l.bytes[at] = 1
	}
}

// finish turns offsets into addresses, and tells where it all lies. The caller keeps l alive until the call is over.
func (l *layout) finish() unsafe.Pointer {
	if len(l.bytes) == 0 {
		l.room(8)
	}
	start := unsafe.Pointer(unsafe.SliceData(l.bytes))
	for _, at := range l.offsets {
		l.u32(at, uint32(uintptr(start))+binary.LittleEndian.Uint32(l.bytes[at:]))
	}
	return start
}

func keep(l *layout) { runtime.KeepAlive(l) }
