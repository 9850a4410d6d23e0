use super::crc32c;

/// The examples of RFC 3720, appendix B.4, which prints the checksums with their lowest byte first, and the check value
/// of the CRC catalogue (CRC-32/ISCSI).
#[test]
fn the_examples_of_the_standard() {
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let mut read_command = [0; 48];
    for (at, byte) in [
        (0, 0x01),
        (1, 0xc0),
        (16, 0x14),
        (22, 0x04),
        (27, 0x14),
        (31, 0x18),
        (32, 0x28),
        (40, 0x02),
    ] {
        read_command[at] = byte;
    }
    for (bytes, checksum) in [
        (&[0; 32][..], [0xaa, 0x36, 0x91, 0x8a]),
        (&[0xff; 32], [0x43, 0xab, 0xa8, 0x62]),
        (&ascending, [0x4e, 0x79, 0xdd, 0x46]),
        (&descending, [0x5c, 0xdb, 0x3f, 0x11]),
        (&read_command, [0x56, 0x3a, 0x96, 0xd9]),
        (b"123456789", 0xe306_9283_u32.to_le_bytes()),
        (b"", [0; 4]),
    ] {
        assert_eq!(crc32c(bytes).to_le_bytes(), checksum, "{bytes:?}");
    }
}
