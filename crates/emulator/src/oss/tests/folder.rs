//! Objects in a folder.

use sha2::Digest;

use super::*;

#[tokio::test]
async fn objects_survive_a_restart_and_deleted_ones_stay_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let emulated = Emulated::backend(Some(folder.path())).await;
    let put = OssRequest::put("notes/ü b.txt", "hello").header("content-type", "text/plain");
    emulated.root(put.header("x-oss-meta-colour", "green")).await;
    emulated
        .root(OssRequest::put("notes/ü b.txt", "hello again").header("x-oss-meta-colour", "blue"))
        .await;
    emulated.root(OssRequest::new("DELETE", GRASS)).await;
    let before = emulated.root(OssRequest::get("notes/ü b.txt")).await.snapshot();
    let painted = emulated.root(OssRequest::get("2015/01/02/morning.jpg")).await;
    emulated.stop().await;

    let emulated = Emulated::backend(Some(folder.path())).await;
    assert_eq!(emulated.root(OssRequest::get("notes/ü b.txt")).await.snapshot(), before);
    assert_eq!(emulated.root(OssRequest::get("2015/01/02/morning.jpg")).await.body, painted.body);
    assert_eq!(emulated.root(OssRequest::get(GRASS)).await.outcome(), "404 NoSuchKey");
}

impl Emulated {
    /// Ends the emulator and waits until the folder is free.
    async fn stop(self) {
        let Self { host, _serving: serving, .. } = self;
        drop(serving);
        let ended = async {
            while tokio::net::TcpStream::connect(&host).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
    }
}

#[tokio::test]
async fn everything_works_in_a_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    let emulated = Emulated::backend(Some(folder.path())).await;
    let begin = emulated.root(OssRequest::new("POST", "big").query("uploads", "")).await;
    let id = begin.tag("UploadId");
    for (number, body) in [("1", vec![7; 100 << 10]), ("2", b"end".to_vec())] {
        let part =
            OssRequest::put("big", body).query("partNumber", number).query("uploadId", id.as_str());
        assert_eq!(emulated.root(part).await.status, 200);
    }
    let all = OssRequest::new("POST", "big")
        .query("uploadId", id.as_str())
        .header("x-oss-complete-all", "yes");
    assert_eq!(emulated.root(all).await.status, 200);
    let tail = emulated.root(OssRequest::get("big").header("range", "bytes=102399-")).await;
    assert_eq!((tail.status, tail.body), (206, b"\x07end".to_vec()));
    let copy = OssRequest::put("copy", "").header("x-oss-copy-source", "/sample-bucket/big");
    assert_eq!(emulated.root(copy).await.status, 200);
    assert_eq!(emulated.root(OssRequest::get("copy")).await.body.len(), (100 << 10) + 3);
    // No incomplete file is left.
    let incoming = std::fs::read_dir(folder.path().join(".incoming")).unwrap();
    assert_eq!(incoming.count(), 0);
}

#[tokio::test]
async fn no_key_reaches_outside_its_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let emulated = Emulated::backend(Some(&data)).await;
    let keys = ["../escaped", "../../escaped", "a/../../../escaped", "nul\u{0}", "CON", ".lock"];
    for key in keys {
        assert_eq!(emulated.root(OssRequest::put(key, key)).await.status, 200, "{key}");
        assert_eq!(emulated.root(OssRequest::get(key)).await.text(), key);
    }
    let names = |path: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.path()), ["data"]);
    let expected = [".incoming", ".lock", "open-bucket", "sample-bucket", "sample-public"];
    assert_eq!(names(&data), expected);
    let is_hash = |name: &String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(names(&data.join("sample-bucket")).iter().all(is_hash));
}

#[tokio::test]
async fn an_incomplete_object_file_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let emulated = Emulated::backend(Some(folder.path())).await;
    emulated.root(OssRequest::put("whole", "hello")).await;
    emulated.stop().await;
    let bucket = folder.path().join("sample-bucket");
    let name = |key: &str| hex::encode(sha2::Sha256::digest(key));
    let whole = std::fs::read(bucket.join(name("whole"))).unwrap();
    std::fs::write(bucket.join(name("cut")), &whole[..whole.len() - 1]).unwrap();
    std::fs::write(bucket.join(name("renamed")), &whole).unwrap();
    std::fs::write(bucket.join("empty"), "").unwrap();
    std::fs::write(folder.path().join(".incoming").join("left"), "over").unwrap();
    let emulated = Emulated::backend(Some(folder.path())).await;
    assert_eq!(emulated.root(OssRequest::get("whole")).await.text(), "hello");
    for key in ["cut", "renamed", "empty"] {
        assert_eq!(emulated.root(OssRequest::get(key)).await.outcome(), "404 NoSuchKey", "{key}");
    }
    assert!(!folder.path().join(".incoming").join("left").exists());
}

#[tokio::test]
async fn a_folder_belongs_to_one_emulator() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Emulated::backend(Some(folder.path())).await;
    let addr = "127.0.0.1:0".parse().unwrap();
    let second = Emulator::bind(settings(), addr, Clock::manual(start())).await.unwrap();
    let refused = second.with_oss(addr, Some(folder.path())).await.err().unwrap();
    assert!(matches!(refused, crate::OssProblem::Data(_)), "{refused}");
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let emulated = Emulated::backend(Some(folder.path())).await;
    let mut stream = tokio::net::TcpStream::connect(&emulated.host).await.unwrap();
    let head = format!(
        "PUT /open-bucket/cut HTTP/1.1\r\nhost: {}\r\ncontent-length: 10\r\n\r\nhalf",
        emulated.host
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let incoming = || std::fs::read_dir(folder.path().join(".incoming")).unwrap().count();
    let wait = |left: usize| async move {
        let reached = async {
            while incoming() != left {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), reached).await.unwrap();
    };
    wait(1).await;
    drop(stream);
    wait(0).await;
    assert_eq!(
        emulated.send(&OssRequest::get("cut").of("open-bucket")).await.outcome(),
        "404 NoSuchKey"
    );
}
