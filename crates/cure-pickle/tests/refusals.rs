//! Pickles made to run code, to lie about lengths, or to exhaust whoever reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cure_pickle::{Kind, PickleError, numpy, read, torch};

fn refused(bytes: &[u8]) -> String {
    let error = read(bytes, numpy::GLOBALS).unwrap_err();
    assert!(matches!(error, PickleError::Refused { .. }), "{error}");
    error.to_string()
}

#[test]
fn code_is_named_and_refused() {
    for (bytes, name) in [
        // What `__reduce__` returning (os.system, ("true",)) pickles to, protocols 0, 2 and 4.
        (&b"cos\nsystem\n(S'true'\ntR."[..], "os.system"),
        (
            b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.",
            "posix.system",
        ),
        (
            b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\
              \x94\x8c\x04true\x94\x85\x94R\x94.",
            "posix.system",
        ),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"\x80\x02csubprocess\nPopen\n)\x81.", "subprocess.Popen"),
        // Merely named, and merely reached through an allowed module.
        (b"\x80\x02cos\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0elib.npyio.load\x93.", "numpy.lib.npyio.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.", "numpy.ndarray.__new__"),
    ] {
        let message = refused(bytes);
        assert!(message.contains(&format!("refuses to call `{name}`")), "{message}");
    }
}

#[test]
fn a_checkpoint_refuses_names_that_are_merely_data() {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\
        \x80\x02}."
        .to_vec();
    file.extend_from_slice(b"\x80\x02}X\x01\x00\x00\x00acsomewhere\nUnknown\ns.\x80\x02].");
    let error = torch::read(file).err().unwrap().to_string();
    assert!(error.contains("`somewhere.Unknown`"), "{error}");
}

#[test]
fn calls_to_anything_but_a_name_are_refused() {
    for bytes in [
        &b"K\x01)R."[..],
        b"cnumpy\ndtype\n)R)R.",
        b"cnumpy\ndtype\nK\x01R.",
        b"cnumpy\ndtype\n)}\x92.",
        b"(o.",
        b"K\x01K\x02b.",
        b"\x82\x01.",
        b"\x97.",
    ] {
        let error = read(bytes, numpy::GLOBALS).unwrap_err();
        assert!(matches!(error, PickleError::Malformed { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    for bytes in [
        &b"T\xff\xff\xff\x7fabc."[..],
        b"B\xff\xff\xff\xffabc.",
        b"X\xff\xff\xff\xffabc.",
        b"U\xffabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x96\x00\x00\x00\x00\x00\x01\x00\x00abc.",
        b"\x8b\xff\xff\xff\x7fabc.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
    ] {
        let error = read(bytes, &[]).unwrap_err();
        assert!(matches!(error, PickleError::Truncated { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn a_misused_stack_is_refused() {
    for bytes in [
        &b"."[..],
        b"0.",
        b"1.",
        b"2.",
        b"a.",
        b"K\x01(0a.",
        b"K\x01(a.",
        b"(K\x01u.",
        b"]K\x01K\x02s.",
        b"}K\x01a.",
        b"h\x00.",
        b"g4294967296\n.",
        b"gx\n.",
        b"q\x00.",
        b"\x80\x09N.",
        b"\xffN.",
        b"Inot a number\n.",
        b"L1000000000000000000000000000000000000000000L\n.",
        b"X\x01\x00\x00\x00\xff.",
        b"K\x01K\x02\x93.",
    ] {
        let error = read(bytes, &[]).unwrap_err();
        assert!(matches!(error, PickleError::Malformed { .. }), "{bytes:?}: {error}");
    }
}

/// 2²⁰ tuples inside one another, and a list that holds itself: nothing recurses, not even drop.
#[test]
fn depth_and_cycles_are_harmless() {
    let mut deep = vec![b')'];
    deep.extend(std::iter::repeat_n(0x85, 1 << 20));
    deep.push(b'.');
    let pickle = read(&deep, &[]).unwrap();
    assert_eq!(pickle.values().len(), (1 << 20) + 1);
    assert_eq!(format!("{:?}", pickle.root()), "a tuple of 1");
    drop(pickle);

    let pickle = read(b"]q\x00h\x00a.", &[]).unwrap();
    let mut value = pickle.root();
    for _ in 0..1000 {
        value = value.as_items().unwrap().get(0).unwrap();
    }
    assert!(matches!(value.kind(), Kind::List(items) if items.len() == 1));
    assert_eq!(format!("{pickle:?}"), "Pickle(a list of 1, 1 values)");
}

/// Ten references to the previous list, 1000 times over, would be 10¹⁰⁰⁰ values as a tree.
#[test]
fn a_memo_bomb_stays_as_small_as_its_file() {
    let mut bomb = b"]r\x00\x00\x00\x00".to_vec();
    for level in 0u32..1000 {
        bomb.push(b'(');
        for _ in 0..10 {
            bomb.push(b'j');
            bomb.extend_from_slice(&level.to_le_bytes());
        }
        bomb.extend_from_slice(b"lr");
        bomb.extend_from_slice(&(level + 1).to_le_bytes());
    }
    bomb.push(b'.');
    let pickle = read(&bomb, &[]).unwrap();
    assert_eq!(pickle.values().len(), 1001);
    assert_eq!(pickle.root().as_items().unwrap().len(), 10);
}

#[test]
fn endless_marks_and_values_end() {
    assert!(read(&vec![b'('; 1 << 20], &[]).is_err());
    let flood = vec![b'N'; (1 << 24) + 1];
    assert!(matches!(read(&flood, &[]), Err(PickleError::TooManyValues { .. })));
}
