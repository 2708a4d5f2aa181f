//! Devices that violate the protocol.

use tokio::join;

use super::raw::{REQUEST_TIMEOUT, RawConnection, RawDevice, RawRequest, holding, read, registers};
use crate::{ExceptionCode, NotSent, ReadError, Span, Table};

#[tokio::test]
async fn late_reply_is_never_used_for_the_next_request() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let first = device_after_timeout(&device, &endpoint).await;
    // The reply to the first request, with its transaction and with those of the next requests.
    for transaction in 0..3 {
        let late = RawRequest { transaction, ..first.1 };
        // Fails if the other side has reset the connection.
        let _ = first.0.0.try_write(&late.registers(&[111]));
    }
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        device.accept().await.answer(222).await;
    });
    assert_eq!(result, [registers(&[222])]);
}

/// Lets a read time out, and returns its connection and its request.
async fn device_after_timeout(device: &RawDevice, endpoint: &crate::Endpoint) -> (RawConnection, RawRequest) {
    let spans = [holding(1, 0, 1)];
    let (result, first) = join!(read(endpoint, spans), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        (connection, request)
    });
    assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
    first
}

#[tokio::test]
async fn silent_unit_costs_two_timeouts_and_other_units_none() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(1, 20, 1), holding(2, 0, 1)];
    let (result, ()) = join!(read(&endpoint, spans), async {
        let mut silent = device.accept().await;
        assert_eq!(silent.request().await.unit, 1);
        silent.closed().await;
        let mut connection = device.accept().await;
        assert_eq!(connection.answer(5).await.unit, 2);
        // Is the unit silent, or only its register 0?
        assert_eq!(connection.request().await.address, 10);
        connection.closed().await;
    });
    let timeout = || Err(ReadError::Timeout(REQUEST_TIMEOUT));
    let not_sent = Err(ReadError::NotSent(NotSent::UnitSilent));
    assert_eq!(result, [timeout(), timeout(), not_sent, registers(&[5])]);
}

/// A wrong reply, and a part of the error message for it.
struct Wrong {
    what: &'static str,
    reply: fn(RawRequest) -> Vec<u8>,
    says: &'static str,
}

#[tokio::test]
async fn wrong_reply_fails_its_own_request_and_closes_the_connection() {
    let cases = [
        Wrong {
            what: "another transaction",
            reply: |request| {
                let transaction = request.transaction.wrapping_add(1);
                RawRequest { transaction, ..request }.registers(&[1, 2])
            },
            says: "another request",
        },
        Wrong {
            what: "another unit",
            reply: |request| RawRequest { unit: 9, ..request }.registers(&[1, 2]),
            says: "another unit",
        },
        Wrong {
            what: "another function",
            reply: |request| RawRequest { function: 4, ..request }.registers(&[1, 2]),
            says: "another function",
        },
        Wrong {
            what: "an exception of another function",
            reply: |request| RawRequest { function: 4, ..request }.exception(2),
            says: "another function",
        },
        Wrong {
            what: "too few registers",
            reply: |request| request.registers(&[1]),
            says: "1 registers where 2 were requested",
        },
        Wrong {
            what: "too many registers",
            reply: |request| request.registers(&[1, 2, 3]),
            says: "3 registers where 2 were requested",
        },
        Wrong {
            what: "no registers",
            reply: |request| request.registers(&[]),
            says: "0 registers where 2 were requested",
        },
        Wrong {
            what: "an odd number of bytes",
            reply: |request| request.frame(&[3, 3, 0, 1, 0]),
            says: "not a Modbus reply",
        },
        Wrong {
            what: "fewer bytes than the count says",
            reply: |request| request.frame(&[3, 4, 0, 1]),
            says: "not a Modbus reply",
        },
        Wrong {
            what: "more bytes than the count says",
            reply: |request| request.frame(&[3, 4, 0, 1, 0, 2, 0]),
            says: "not a Modbus reply",
        },
        Wrong {
            what: "a reply and more",
            reply: |request| [request.registers(&[1, 2]), vec![0]].concat(),
            says: "more than one reply",
        },
        Wrong { what: "a function alone", reply: |request| request.frame(&[3]), says: "announced a reply of 2 bytes" },
        Wrong {
            what: "an endless reply",
            reply: |_| vec![0, 0, 0, 0, 0xFF, 0xFF],
            says: "announced a reply of 65535 bytes",
        },
        Wrong {
            what: "another protocol",
            reply: |request| {
                let mut reply = request.registers(&[1, 2]);
                reply[3] = 1;
                reply
            },
            says: "not a Modbus reply",
        },
        Wrong { what: "text", reply: |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), says: "announced a reply of" },
    ];
    for Wrong { what, reply, says } in cases {
        let device = RawDevice::listen().await;
        let endpoint = device.endpoint();
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 2), holding(1, 10, 1)]), async {
            let mut connection = device.accept().await;
            let request = connection.request().await;
            connection.send(&reply(request)).await;
            connection.closed().await;
            device.accept().await.answer(7).await;
        });
        let [Err(ReadError::Protocol(message)), second] = result.as_slice() else {
            panic!("{what}: {result:?}");
        };
        assert!(message.contains(says), "{what}: {message:?}");
        assert_eq!(second, &registers(&[7]), "{what}");
    }
}

#[tokio::test]
async fn wrong_numbers_of_bits_are_refused_and_padding_is_ignored() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let coils = [Span::new(1, Table::Coils, 0, 9).unwrap()];
    for (bytes, intact) in [(vec![0xFF], false), (vec![0b1000_0001, 0xFF], true), (vec![0; 3], false)] {
        let (result, ()) = join!(read(&endpoint, coils), async {
            let mut connection = device.accept().await;
            let request = connection.request().await;
            let pdu = [vec![1, u8::try_from(bytes.len()).unwrap()], bytes.clone()].concat();
            connection.send(&request.frame(&pdu)).await;
        });
        let [result] = result.as_slice() else { panic!("{result:?}") };
        if intact {
            let mut bits = vec![false; 9];
            [bits[0], bits[7], bits[8]] = [true; 3];
            assert_eq!(result, &Ok(crate::Words::Bits(bits)));
        } else {
            assert!(matches!(result, Err(ReadError::Protocol(_))), "{result:?}");
        }
    }
}

#[tokio::test]
async fn bytes_before_the_first_request_are_a_protocol_error() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.send(b"SSH-2.0-OpenSSH_9.9\r\n").await;
        connection.closed_after_any_request().await;
    });
    assert!(matches!(result.as_slice(), [Err(ReadError::Protocol(_))]), "{result:?}");
}

#[tokio::test]
async fn connection_lost_at_any_stage_is_an_error_and_the_next_read_opens_a_new_one() {
    for reset in [false, true] {
        for stage in 0..=10 {
            let device = RawDevice::listen().await;
            let endpoint = device.endpoint();
            let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
                let mut connection = device.accept().await;
                if let Some(sent) = usize::checked_sub(stage, 1) {
                    let request = connection.request().await;
                    connection.send(&request.registers(&[1])[..sent]).await;
                }
                if reset {
                    connection.reset();
                }
            });
            let [Err(ReadError::Connection(message))] = result.as_slice() else {
                panic!("reset {reset}, stage {stage}: {result:?}");
            };
            assert!(message.to_lowercase().contains("connection"), "{message}");
            let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
                device.accept().await.answer(3).await;
            });
            assert_eq!(result, [registers(&[3])], "reset {reset}, stage {stage}");
        }
    }
}

#[tokio::test]
async fn exception_leaves_the_connection_open() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 2), holding(1, 10, 1)]), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&request.exception(0x63)).await;
        connection.answer(7).await;
    });
    assert_eq!(result, [Err(ReadError::Exception(ExceptionCode(0x63))), registers(&[7])]);
}
