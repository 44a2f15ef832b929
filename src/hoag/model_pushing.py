"""Uploading an exported model to the Hugging Face Hub, in one commit."""

from dataclasses import dataclass
from pathlib import Path

from hoag.data.hub import LOG_IN, HubRepo, hub_repo
from hoag.data.patience import Patience
from hoag.data.uploads import uploading
from hoag.errors import HoagError


@dataclass(frozen=True)
class HubModel(HubRepo):
    """A model on the Hub; like a data set there, under another address."""

    @property
    def page(self) -> str:
        """Where people look at it."""
        return f"{self.endpoint}/{self.repo}"


def check_place(repo_id: str, endpoint: str | None = None, token: str | None = None) -> HubModel:
    """See that a model could be uploaded as far as this machine knows.

    Raises
    ------
    HoagError
        If the id is none of the Hub's, nobody is logged in, or HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants

    place = hub_repo(repo_id, endpoint=endpoint, token=token)
    if constants.HF_HUB_OFFLINE:
        raise HoagError(f"{repo_id}: HF_HUB_OFFLINE is set; unset it to upload")
    if place.token is None:
        raise HoagError(f"{repo_id}: to upload, {LOG_IN} (a token that may write)")
    return HubModel(place.repo, place.endpoint, place.token)


def push_model(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    patience: Patience | None = None,
) -> str:
    """Upload a folder that `hoag export` made; what is there with the same content is not sent.

    Parameters
    ----------
    folder
        The exported model.
    repo_id
        Model on the Hub, "user/name"; made if it does not exist.
    private
        Whether only you may see it. A model that is public already is refused then.
    endpoint
        Another Hub (also HF_ENDPOINT).
    token
        Token that may write (else that of `hf auth login` or HF_TOKEN).
    patience
        How often the Hub is asked again.

    Returns
    -------
    str
        Address of the model.

    Raises
    ------
    HoagError
        If the folder is no exported model, or the Hub refuses: what is wrong and what to do.
    """
    folder, patience = Path(folder), patience or Patience()
    for name in ("config.json", "model.safetensors", "README.md"):
        if not (folder / name).is_file():
            raise HoagError(f"{folder}: has no {name}, so it is no exported model; hoag export")
    place = check_place(repo_id, endpoint, token)
    place.ask(lambda api: api.create_repo(repo_id, private=private, exist_ok=True), patience)
    there = place.ask(lambda api: api.model_info(repo_id), patience)
    if private and not there.private:
        raise HoagError(
            f"{repo_id}: is there already and is public; choose another name, or let it be public"
        )
    with uploading(place, folder, "repeat the upload"):
        place.api().upload_folder(
            repo_id=place.repo, folder_path=folder, commit_message="Upload model with hoag"
        )
    return place.page
