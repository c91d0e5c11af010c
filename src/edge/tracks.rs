//! The names of tracks in requests and in settings: `audio` and `video`.

use crate::core::live::Tracks;

/// Returns the kinds of the tracks, separated by commas.
#[must_use]
pub fn list_kinds(tracks: Tracks) -> String {
    tracks.kinds().collect::<Vec<_>>().join(",")
}

/// Reads a set of tracks from their kinds. Empty names are skipped. Returns `None` for any other name.
#[must_use]
pub fn read_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Option<Tracks> {
    let mut tracks = Tracks::default();
    for kind in kinds {
        match kind {
            "audio" => tracks.audio = true,
            "video" => tracks.video = true,
            "" => {}
            _ => return None,
        }
    }
    Some(tracks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_tracks_is_read_from_its_list() {
        let audio = Tracks {
            audio: true,
            video: false,
        };
        for (tracks, list) in [
            (Tracks::ALL, "audio,video"),
            (audio, "audio"),
            (Tracks::default(), ""),
        ] {
            assert_eq!(list_kinds(tracks), list);
            assert_eq!(read_kinds(list.split(',')), Some(tracks));
        }
        assert_eq!(read_kinds(["audio", "data"]), None);
    }
}
