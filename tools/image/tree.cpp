#include "image/tree.h"

#include <deque>
#include <fstream>
#include <vector>

#include "support/failure.h"
#include "support/strings.h"

namespace tool {

std::string Node::content() const {
    if (host_file.empty()) return data;
    std::ifstream in(host_file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(host_offset));
    std::string content(host_size, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    if (!in.good() && host_size) content.resize(static_cast<size_t>(in.gcount()));
    if (in.bad() || (host_size && content.empty())) throw system_failure("cannot read " + host_file.string());
    return content;
}

std::shared_ptr<Node> Node::directory(Metadata meta) {
    auto node = std::make_shared<Node>();
    node->type = NodeType::Directory;
    node->meta = meta;
    return node;
}

std::shared_ptr<Node> Node::file(std::string data, Metadata meta) {
    auto node = std::make_shared<Node>();
    node->meta = meta;
    node->data = std::move(data);
    return node;
}

std::shared_ptr<Node> Node::symlink(std::string target, Metadata meta) {
    auto node = std::make_shared<Node>();
    node->type = NodeType::Symlink;
    node->meta = meta;
    node->data = std::move(target);
    return node;
}

// Walks one component at a time; `pending` holds what is still to be walked, so that a link's target is simply put
// in front of it. `above` is the chain of directories that leads here, for `..`.
bool Tree::resolve(std::string_view path, FollowLast follow, Missing missing, Place& place) const {
    constexpr int kMaxLinks = 40;  // what Linux allows, path_resolution(7)
    struct Step {
        std::shared_ptr<Node> directory;
        std::string name;
    };
    std::vector<Step> above = {{root_, ""}};
    std::deque<std::string> pending;
    for (std::string& part : split(path, '/')) pending.push_back(std::move(part));
    int links = 0;

    auto path_of = [&](const std::string& last) {
        std::string text;
        for (const Step& step : above)
            if (!step.name.empty()) text += '/' + step.name;
        if (!last.empty()) text += '/' + last;
        return text.empty() ? std::string("/") : text;
    };

    place = {root_, nullptr, "", "/"};
    while (!pending.empty()) {
        std::string name = std::move(pending.front());
        pending.pop_front();
        if (name.empty() || name == ".") continue;
        if (name == "..") {
            if (above.size() > 1) above.pop_back();
            place = {above.back().directory, nullptr, "", path_of("")};
            continue;
        }
        std::shared_ptr<Node> here = above.back().directory;
        bool last = true;
        for (const std::string& rest : pending) last = last && (rest.empty() || rest == ".");
        auto found = here->children.find(name);
        if (found == here->children.end()) {
            if (last) {
                place = {nullptr, here, name, path_of(name)};
                return true;
            }
            if (missing == Missing::Fail) return false;
            found = here->children.emplace(name, Node::directory()).first;
        }
        std::shared_ptr<Node> node = found->second;
        if (node->type == NodeType::Symlink && (!last || follow == FollowLast::Yes)) {
            if (++links > kMaxLinks) return false;
            std::vector<std::string> target = split(node->data, '/');
            pending.insert(pending.begin(), target.begin(), target.end());
            if (node->data.starts_with('/')) above.resize(1);
            place = {above.back().directory, nullptr, "", path_of("")};
            continue;
        }
        place = {node, here, name, path_of(name)};
        if (last) return true;
        if (node->type != NodeType::Directory) return false;
        above.push_back({node, name});
    }
    return true;
}

std::shared_ptr<Node> Tree::find(std::string_view path, FollowLast follow) const {
    Place place;
    return resolve(path, follow, Missing::Fail, place) ? place.node : nullptr;
}

std::string Tree::canonical(std::string_view path) const {
    Place place;
    return resolve(path, FollowLast::Yes, Missing::Fail, place) && place.node ? place.path : std::string();
}

void Tree::add(std::string_view path, std::shared_ptr<Node> node) {
    Place place;
    if (!resolve(path, FollowLast::No, Missing::MakeDirectories, place))
        throw Failure("cannot put " + std::string(path) + " into the image: a parent is not a directory");
    if (place.node && node->type == NodeType::Directory) {
        if (place.node->type == NodeType::Directory) {
            place.node->meta = node->meta;
            return;
        }
        std::shared_ptr<Node> behind = find(path);
        if (behind && behind->type == NodeType::Directory) return;
    }
    if (!place.parent) throw Failure("only a directory can be the root of an image");
    if (place.node && place.node->type == NodeType::Directory)
        throw Failure("cannot replace the directory " + place.path + " by something else");
    place.parent->children[place.name] = std::move(node);
}

void Tree::add_if_missing(std::string_view path, std::shared_ptr<Node> node) {
    if (!find(path, FollowLast::No)) add(path, std::move(node));
}

void Tree::remove(std::string_view path) {
    Place place;
    if (resolve(path, FollowLast::No, Missing::Fail, place) && place.node && place.parent)
        place.parent->children.erase(place.name);
}

namespace {

void walk_below(const std::string& path, const std::shared_ptr<Node>& node, const Tree::Visitor& visit) {
    visit(path.empty() ? "/" : path, node);
    for (const auto& [name, child] : node->children) walk_below(path + '/' + name, child, visit);
}

}  // namespace

void Tree::walk(const Visitor& visit) const { walk_below("", root_, visit); }

}  // namespace tool
