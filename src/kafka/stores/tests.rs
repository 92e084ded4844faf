//! Stores made by the `keytool` of JDK 11: store password `secret1`, the key in the JKS one under `secret2`.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn words(text: &str) -> Secret {
    Secret::new(text)
}

#[test]
fn a_trust_store_of_either_kind_gives_the_same_certificate() {
    let jks = trusted(&bytes(TRUST_JKS), &words("secret1"), "t.jks").unwrap();
    let p12 = trusted(&bytes(TRUST_P12), &words("secret1"), "t.p12").unwrap();
    assert_eq!(jks.len(), 1);
    assert_eq!(jks, p12);
    // Java reads a JKS trust store without its password.
    assert_eq!(
        trusted(&bytes(TRUST_JKS), &words(""), "t.jks").unwrap(),
        jks
    );
}

#[test]
fn a_key_store_gives_a_key_that_fits_its_certificate() {
    let jks = identity(
        &bytes(ID_JKS),
        &words("secret1"),
        &words("secret2"),
        "k.jks",
    )
    .unwrap();
    let p12 = identity(
        &bytes(ID_P12),
        &words("secret1"),
        &words("secret1"),
        "k.p12",
    )
    .unwrap();
    for identity in [jks, p12] {
        assert_eq!(identity.chain.len(), 1);
        let trust = Some(identity.chain.clone());
        crate::kafka::tls::config(trust, Some(identity), true).unwrap();
    }
}

#[test]
fn a_wrong_password_is_said_with_the_stores_name() {
    for (store, password) in [(TRUST_JKS, "x"), (TRUST_P12, "x"), (TRUST_P12, "")] {
        let error = trusted(&bytes(store), &words(password), "/etc/t").unwrap_err();
        assert!(error.to_string().contains("`/etc/t`"), "{error}");
        assert!(error.to_string().contains("password"), "{error}");
    }
    let error = identity(&bytes(ID_JKS), &words("secret1"), &words("x"), "k")
        .err()
        .unwrap();
    assert!(error.to_string().contains("the key's password is wrong"));
}

#[test]
fn a_damaged_store_is_an_error() {
    let store = bytes(ID_JKS);
    for end in [0, 3, 21, 40, 200] {
        assert!(identity(&store[..end], &words(""), &words("secret2"), "k").is_err());
    }
}

const TRUST_JKS: &str = concat!(
    "/u3+7QAAAAIAAAABAAAAAgACY2EAAAGh+0I4WAAFWC41MDkAAAFhMIIBXTCCAQGgAwIBAgIEeCFiqjAMBggqhkjOPQ",
    "QDAgUAMBQxEjAQBgNVBAMTCWxvY2FsaG9zdDAgFw0yNjExMjAyMzE5NDJaGA8yMTI2MTAyNzIzMTk0MlowFDESMBAG",
    "A1UEAxMJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVlE1HS4urHJTZtcffemHTDW4+G8E6sj0hb",
    "Zz3RsaKi9TPzR5ppFYKAZ2ac45PgDFPfBjJO0xeT8htK+hmdNnlKM9MDswHQYDVR0OBBYEFFFuL003iYlm+8sksaLe",
    "ftlbSeGAMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAMBggqhkjOPQQDAgUAA0gAMEUCIQDVdGFpEHW0jDS2Ps",
    "KiKMig9y9ttXT0LQYhaCWcaS8CJgIgSFUb6rsSojWJP1EYG6FnaVuriTewspbha3SJbrZIWDfjllyl0dBoecxh+lF7",
    "AE+xehmlUA==",
);

const TRUST_P12: &str = concat!(
    "MIICwwIBAzCCAnwGCSqGSIb3DQEHAaCCAm0EggJpMIICZTCCAmEGCSqGSIb3DQEHBqCCAlIwggJOAgEAMIICRwYJKo",
    "ZIhvcNAQcBMGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBRAxBZEYmj8vLhhnCwZwbfJdbWB+wICJxACASAw",
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENebkAw0taP6RsXEXdS2JNWAggHQf1pUT3xXfVQsqa1uCVXNo5lJQS",
    "j0LstIbrTuPcJYG83F9r3Q+zfHJ9m6u36s1hykC60rNmoPKHH4zIzO2KcxHd9PprRH/6ZiC04rwQl8X1a5iSa8n1Zp",
    "3VM+2iDecoGE6GGZ5KQHXikBUmwbcqhCglB0gvfQWG43jvxSKMubDuUqXXAlFaQt6hyDZL4n/wMlFymosvuKSIWJQ+",
    "WbJjkCZOqQ5/O4n9LJTS7WSmTtxIGR7hh9sdvOS2uf0IuXk78o5CTvIZDLQ4IqRV4u1yrf3YDMQVeZQ+JQ/11gxl+k",
    "F9sK+r8YTCPJOnTxyNkD961JGcfLfkG5Is8gLvwUHYIjioP8KeYRkAkbZTX+18iNRBYxQSod8ibSKcZPjSoXpMtWkK",
    "fDrgxP18pyIdBYnT+yxVec4Jbs2S8UpCH30KIZV1YkVGhxsdAVB2Dg92gU7snJR5jxLeF4/FFWUqTB3Y+eIKoz0zSR",
    "sKHxoLeHMbCpLjdKEs8IPCzK2LXeSvHzruIhhXpYX7ynIoaCocGj6tdIrGs4N4Vt/Bfpl+40rR9PvvlFT1AJSKcoH1",
    "pgL/UKpvq1M0w3jb458Hs+9Jce0DOfuj9QdFUuvVExCrTP2k17Ai4wPjAhMAkGBSsOAwIaBQAEFAeCTsN48uj5ryzF",
    "hF6aMYEzPKTMBBRTsZ3kalHC6jp3Dlaux0S31cbg2QIDAYag",
);

const ID_JKS: &str = concat!(
    "/u3+7QAAAAIAAAABAAAAAQABawAAAaH7QjVcAAAAfzB9MA4GCisGAQQBKgIRAQEFAARrg/44QVtKVwAat4xKAJsCof",
    "JFJFt8ksxOa4VxaWz8ylTfZ9dc8n1/pMB0ruhnN0MZv+se+6ue3tbLUiecA3FQ67SOaEbkjz1xoH/GsZy5dQBRsHu5",
    "NTXx9JkBLd+W9bkQRzaB7s3GCy226dgAAAABAAVYLjUwOQAAAWEwggFdMIIBAaADAgECAgR4IWKqMAwGCCqGSM49BA",
    "MCBQAwFDESMBAGA1UEAxMJbG9jYWxob3N0MCAXDTI2MTEyMDIzMTk0MloYDzIxMjYxMDI3MjMxOTQyWjAUMRIwEAYD",
    "VQQDEwlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARWUTUdLi6sclNm1x996YdMNbj4bwTqyPSFtn",
    "PdGxoqL1M/NHmmkVgoBnZpzjk+AMU98GMk7TF5PyG0r6GZ02eUoz0wOzAdBgNVHQ4EFgQUUW4vTTeJiWb7yySxot5+",
    "2VtJ4YAwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAwGCCqGSM49BAMCBQADSAAwRQIhANV0YWkQdbSMNLY+wq",
    "IoyKD3L221dPQtBiFoJZxpLwImAiBIVRvquxKiNYk/URgboWdpW6uJN7CyluFrdIlutkhYN4BYPrFkKydistpzOWRF",
    "TyaQQPDZ",
);

const ID_P12: &str = concat!(
    "MIID5wIBAzCCA6AGCSqGSIb3DQEHAaCCA5EEggONMIIDiTCCASAGCSqGSIb3DQEHAaCCAREEggENMIIBCTCCAQUGCy",
    "qGSIb3DQEMCgECoIG9MIG6MGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBRFuM2vepSiLpiqYr7JRPDphxgy",
    "nwICJxACASAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEOquUBrXCDO3DfwvRH9GJMIEULLRpUaiRbNyII+HKH",
    "Y8qIDSY8s5d9bjHsajoECxF1hr4ElLme6WT04AZgeHf00fQfC0CQQAtMDTcFwDPIMqQ2av2z+niIlP7UuMGgx2XFD0",
    "MTYwEQYJKoZIhvcNAQkUMQQeAgBrMCEGCSqGSIb3DQEJFTEUBBJUaW1lIDE3OTUyMTY3ODQ4NTIwggJhBgkqhkiG9w",
    "0BBwagggJSMIICTgIBADCCAkcGCSqGSIb3DQEHATBmBgkqhkiG9w0BBQ0wWTA4BgkqhkiG9w0BBQwwKwQU2Af4AwO5",
    "3mGy5DBN062DSIFEGGcCAicQAgEgMAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBDSCYGAqjRgvw9Q2WbQ6ITOgI",
    "IB0IEzDjzJQyoEelHMbffSoy7QrjPLJ9zf7Oa7gE0ECP/1M2Gqge7d8iRE4lK+lqZdSH0eLOFoLtm6uQvd9Exetp98",
    "HDEEvm/FnAlPwUUy+59ESeCojTmHSt1Jibe2O8e258gK69eESZT1Ab2g0nWfm/3ewd2ZWhSdb4+qZrzWc2ZKr48Uii",
    "Fljcc0WcNrcAg3RfL53/Zbo/nYfcGzUEBRWOo21LtzmYnxnr+q+WxR6QYWRWDUcModYs8+XTBjyJMCFG4Iy73dLymQ",
    "R85MgB7isMSw+d7UUMR/o6mw3yvH5hIZzD4TArLS4/I/GsEVjcwIAh/Pi0VkPnY6olpc1cJHdNL8LYlwRV61OAEaK3",
    "zQVM2Xjkbsav2t32UpHutMhBu/5QGHjdE7Cr6DXNJy7FX0CAnhC6jom+sAB2o9jFHIbmKorremKBPcgiTUAAi1SDrD",
    "Tlp6eCgX9ZQVw+D39kl7I7mpl5MpM3rjpqIxIoRElmkXn0bx0wYlt8pcV2VAzRPDTPeBVvzNqX40R3EeSlkNZwiV/b",
    "hiMGqtn4HoXT65qifUBerCdLZBYv5DIqjCZFLJPrb9FCkjbG2TJ42J+XjbVw9CMfF8WTCRj9VJ9F4lb2tyMD4wITAJ",
    "BgUrDgMCGgUABBQ135ClZGP1rdrdXXwvQLytR7O/lwQUIxcz0/LQz2JbzE4YWSR23CzYrLECAwGGoA==",
);
